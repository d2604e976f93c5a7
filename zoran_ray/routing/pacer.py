"""The price of a dollar: how much quality a request must gain for each dollar, so that the budget holds.

The dual variable of "most quality within the budget". It is solved for on the latest requests rather than
crept up to, because prices of arms differ by a factor of hundreds and a gradient would be wrong for as many
requests. What was really spent corrects it, and a bank bars what could not be paid back. Knows neither
prompts nor arms' names.

Source: Balseiro & Gur, Learning in Repeated Auctions with Budgets, 2019 (pacing by the dual of the budget).
"""

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import ConfigError

Vector = NDArray[np.float64]

_STEPS = 30


class BudgetPacer:
    """Keeps mean spending at a budget.

    Args:
        budget_usd: USD for each request on average; infinite: quality is all that counts.
        horizon: Requests over which savings or debts are worked off.
        window: Latest requests whose forecasts decide.
        every: Outcomes between two solutions.
        caution: An arm is barred when this many times its expected cost cannot be paid.
    """

    def __init__(
        self,
        budget_usd: float = math.inf,
        *,
        horizon: int = 200,
        window: int = 256,
        every: int = 8,
        caution: float = 2.0,
    ) -> None:
        if not budget_usd > 0 or min(horizon, window, every) < 1 or not caution > 0:
            raise ConfigError("routing budget: USD per request, horizon, window and caution are above 0")
        self.budget_usd = budget_usd
        self.bank_usd = 0.0
        self.usd_weight = 0.0
        self._horizon = horizon
        self._every = every
        self._caution = caution
        self._forecasts: deque[tuple[Vector, Vector]] = deque(maxlen=window)
        self._since = every

    @property
    def allowance_usd(self) -> float:
        """Most the next request may be expected to cost."""
        return max(0.0, self.bank_usd + self.budget_usd) / self._caution

    def spent(self, usd: float, quality: Vector, costs: Vector) -> None:
        """Take in what a request cost, and what it would have been worth and cost at every arm.

        Args:
            usd: What was paid.
            quality: float64[K], a score for each arm.
            costs: float64[K], USD.
        """
        if math.isinf(self.budget_usd):
            return
        self.bank_usd += self.budget_usd - usd
        self._forecasts.append((quality, costs))
        self._since += 1
        if self._since >= self._every:
            self._since = 0
            self.usd_weight = self._solve()

    def _solve(self) -> float:
        """The least weight at which the latest requests would have kept to the target."""
        quality = np.array([q for q, _ in self._forecasts])
        usd = np.array([u for _, u in self._forecasts])
        target = max(self.budget_usd + self.bank_usd / self._horizon, 0.0)
        rows = np.arange(len(usd))

        def spend(weight: float) -> float:
            return float(usd[rows, (quality - weight * usd).argmax(axis=1)].mean())

        if spend(0.0) <= target:
            return 0.0
        cheapest = usd.min(axis=1, keepdims=True)
        dearer = usd > cheapest
        if not dearer.any():
            return 0.0
        gain = quality - quality[rows, usd.argmin(axis=1)][:, None]
        low, high = 0.0, 2.0 * float((gain[dearer] / (usd - cheapest)[dearer]).max())
        # Most of the interesting weights are near 0 when one arm costs hundreds of times another.
        low = high * 1e-6
        for _ in range(_STEPS):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if spend(middle) > target else (low, middle)
        return high
