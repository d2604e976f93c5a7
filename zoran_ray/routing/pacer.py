"""The price of a dollar: how much quality a request must gain for each dollar, so that the budget holds.

The dual variable of "most quality within the budget". It is solved for on the latest requests rather than
crept up to, because prices of arms differ by a factor of hundreds and a gradient would be wrong for as many
requests. What was really spent corrects it, and a bank bars what could not be paid back. Knows neither
prompts nor arms' names.

Source: Balseiro & Gur, Learning in Repeated Auctions with Budgets, 2019 (pacing by the dual of the budget).
"""

import math

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import ConfigError
from zoran_ray.routing.kernel import spending
from zoran_ray.routing.spending import BUDGETS, UsdWeights

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_CLOSE = 1.002
"""Ratio within which the weight is solved for."""
_RANGE = 1e-6
"""Most of the interesting weights are near 0 when one arm costs hundreds of times another."""
_WEIGHTS = 64
"""Weights among which those for other budgets are found."""


class BudgetPacer:
    """Keeps mean spending at a budget.

    Args:
        budget_usd: USD for each request on average; infinite: quality is all that counts.
        horizon: Requests over which savings or debts are worked off.
        every: Outcomes between two solutions.
        caution: An arm is barred when this many times its expected cost cannot be paid.
    """

    def __init__(
        self,
        budget_usd: float = math.inf,
        *,
        horizon: int = 200,
        every: int = 8,
        caution: float = 3.0,
    ) -> None:
        if not budget_usd > 0 or min(horizon, every) < 1 or not caution > 0:
            raise ConfigError("routing budget: USD per request, horizon and caution are above 0")
        self.budget_usd = budget_usd
        self.bank_usd = 0.0
        self.usd_weight = 0.0
        self._horizon = horizon
        self._every = every
        self._caution = caution
        self._since = every

    @property
    def allowance_usd(self) -> float:
        """Most the next request may be expected to cost."""
        return max(0.0, self.bank_usd + self.budget_usd) / self._caution

    def spent(self, usd: float) -> bool:
        """Take in what a request cost.

        Returns:
            Whether the price of a dollar is to be solved for again.
        """
        if math.isinf(self.budget_usd):
            return False
        self.bank_usd += self.budget_usd - usd
        self._since += 1
        return self._since >= self._every

    def solve(self, quality: Matrix, usd: Matrix) -> None:
        """Take the least weight at which the latest requests would have kept to the target.

        Args:
            quality: float64[N, K], what each of them would have scored at each arm.
            usd: float64[N, K], what it would have cost.
        """
        self._since = 0
        target = max(self.budget_usd + self.bank_usd / self._horizon, 0.0)

        def keeps(weight: float) -> bool:
            return spending(quality, usd, weight) <= target

        if keeps(0.0):
            self.usd_weight = 0.0
            return
        low, high = self.usd_weight / 2.0, self.usd_weight * 2.0
        if not keeps(high) or keeps(low):
            high = 2.0 * _highest(quality, usd)
            low = high * _RANGE
        while high > low * _CLOSE:
            middle = math.sqrt(low * high)
            low, high = (low, middle) if keeps(middle) else (middle, high)
        self.usd_weight = high


def usd_weights(quality: Matrix, usd: Matrix, budgets: Vector = BUDGETS) -> UsdWeights:
    """The least weight at which mean spending keeps to each budget.

    Args:
        quality: float64[N, K], what each of N requests is expected to be worth at each arm.
        usd: float64[N, K], what it is expected to cost.
        budgets: float64[G], USD per request, growing.
    """
    weights, highest = np.zeros(1), 1.01 * _highest(quality, usd)
    if highest > 0:
        weights = np.append(weights, np.geomspace(highest * _RANGE, highest, _WEIGHTS - 1))
    spend = np.array([spending(quality, usd, weight) for weight in weights])
    # Spending falls as the weight grows; a budget below the least spending gets the highest weight.
    first = np.searchsorted(-spend, -budgets, side="left")
    return UsdWeights(budgets, weights[np.minimum(first, weights.size - 1)])


def _highest(quality: Matrix, usd: Matrix) -> float:
    """The weight above which every request goes to its cheapest arm."""
    cheapest = usd.argmin(axis=1)[:, None]
    dearer = usd - np.take_along_axis(usd, cheapest, axis=1)
    gain = quality - np.take_along_axis(quality, cheapest, axis=1)
    worth = gain[dearer > 0] / dearer[dearer > 0]
    return float(worth.max(initial=0.0))
