"""Shares and differences with their 95 % intervals. Pure."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Z = 1.959963984540054
"""The normal distribution's 97.5 % point."""
_RESAMPLES = 10_000

Numbers = Sequence[float] | NDArray[np.float64]
Interval = tuple[float, float, float]
"""The estimate and the ends of its 95 % interval."""


def wilson(right: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share; 0 to 1 where nothing was tried.

    Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference, 1927.
    """
    if of == 0:
        return 0.0, 1.0
    share, spread = right / of, Z * Z / of
    middle = share + spread / 2
    reach = Z * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    low, high = (middle - reach) / (1 + spread), (middle + reach) / (1 + spread)
    # At the ends rounding leaves a share just outside its own interval.
    return (max(0.0, low) if right else 0.0), (min(1.0, high) if right < of else 1.0)


def paired(ours: Numbers, theirs: Numbers, times: float = 1.0) -> Interval:
    """Mean of `ours - times * theirs` over the same instances, by paired bootstrap with a fixed seed.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993 (percentile interval).

    Args:
        ours: One number for each instance.
        theirs: Likewise, in the same order.
    """
    return _resampled(np.asarray(ours, float) - times * np.asarray(theirs, float))


def ratio(ours: Numbers, theirs: Numbers) -> Interval:
    """Sum of `ours` over sum of `theirs` on the same instances, by paired bootstrap likewise."""
    above, below = np.asarray(ours, float), np.asarray(theirs, float)
    picks = _picks(above.size)
    found = above[picks].sum(axis=1) / below[picks].sum(axis=1)
    return (float(above.sum() / below.sum()), *_ends(found))


def _resampled(values: NDArray[np.float64]) -> Interval:
    return (float(values.mean()), *_ends(values[_picks(values.size)].mean(axis=1)))


def _picks(size: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(size, size=(_RESAMPLES, size))


def _ends(found: NDArray[np.float64]) -> tuple[float, float]:
    return float(np.percentile(found, 2.5)), float(np.percentile(found, 97.5))
