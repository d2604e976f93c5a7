"""Percentiles, medians and spread of samples. Knows nothing of where they come from."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest sample that at least `share` of the samples do not exceed (nearest rank).

    Args:
        ordered: Samples in ascending order, at least one.
        share: In 0..1.
    """
    rank = -int(-share * len(ordered) // 1)  # ceiling
    return ordered[min(max(rank, 1), len(ordered)) - 1]


def percentiles(samples: Iterable[float], shares: Sequence[float] = (0.5, 0.95, 0.99)) -> dict[str, float]:
    """`{"p50": …}` for every share; empty where there is no sample."""
    ordered = sorted(samples)
    if not ordered:
        return {}
    return {f"p{share * 100:g}": percentile(ordered, share) for share in shares}


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range of what was measured several times."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread | None":
        """None where nothing was measured."""
        ordered = sorted(values)
        if not ordered:
            return None
        return cls(statistics.median(ordered), ordered[0], ordered[-1], len(ordered))


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least-squares slope of y over x; 0 where x does not vary."""
    if len(points) < 2:
        return 0.0
    xs, ys = [x for x, _ in points], [y for _, y in points]
    if len(set(xs)) < 2:
        return 0.0
    return statistics.linear_regression(xs, ys).slope
