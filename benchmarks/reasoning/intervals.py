"""Shares with their 95 % intervals. Pure."""

import math

Z = 1.959963984540054
"""The normal distribution's 97.5 % point."""


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
