"""What a dollar must be worth for a budget to hold, for many budgets: what a snapshot carries of it.

The budget pacer holds one budget over time. A request may bring another of its own; the weight that would
hold it is read off what requests like the latest ones would be worth and cost now (`pacer.usd_weights`).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

BUDGETS = np.geomspace(1e-7, 1.0, 29)
"""USD per request for which weights are kept: four to a decade."""


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
