"""What a dollar must be worth for a budget to hold, for many budgets at once. Knows arrays, no arms.

The budget pacer holds one budget over time. A request may bring another of its own; the weight that would
hold it is read off what requests like the latest ones would be worth and cost now.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

BUDGETS = np.geomspace(1e-7, 1.0, 29)
"""USD per request for which weights are kept: four to a decade."""

_WEIGHTS = 64
_RANGE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class UsdWeights:
    """Weights of a dollar, in units of quality, by budget.

    Attributes:
        budgets: float64[G], USD per request, growing.
        weights: float64[G], falling.
    """

    budgets: Vector
    weights: Vector

    def at(self, budget_usd: float) -> float:
        """The weight for one budget, between those that are known."""
        if budget_usd <= self.budgets[0]:
            return float(self.weights[0])
        # Weights span decades, and end with 0 where a budget is as good as none.
        known = np.interp(math.log(budget_usd), np.log(self.budgets), np.log1p(self.weights))
        return math.expm1(float(known))


def usd_weights(quality: Matrix, usd: Matrix, budgets: Vector = BUDGETS) -> UsdWeights:
    """The least weight at which mean spending keeps to each budget.

    Args:
        quality: float64[N, K], what each of N requests is expected to be worth at each arm.
        usd: float64[N, K], what it is expected to cost.
        budgets: float64[G], USD per request, growing.
    """
    weights = _candidates(quality, usd)
    rows = np.arange(len(usd))
    spend = np.array([usd[rows, (quality - w * usd).argmax(axis=1)].mean() for w in weights])
    # Spending falls as the weight grows; a budget below the least spending gets the highest weight.
    first = np.searchsorted(-spend, -budgets, side="left")
    return UsdWeights(budgets, weights[np.minimum(first, weights.size - 1)])


def _candidates(quality: Matrix, usd: Matrix) -> Vector:
    """float64[W], growing from 0 to where every request goes to its cheapest arm."""
    cheapest = usd.argmin(axis=1)[:, None]
    dearer = usd - np.take_along_axis(usd, cheapest, axis=1)
    gain = quality - np.take_along_axis(quality, cheapest, axis=1)
    worth = gain[(dearer > 0) & (gain > 0)] / dearer[(dearer > 0) & (gain > 0)]
    if not worth.size:
        return np.zeros(1)
    highest = 1.01 * float(worth.max())
    return np.concatenate([np.zeros(1), np.geomspace(highest * _RANGE, highest, _WEIGHTS - 1)])
