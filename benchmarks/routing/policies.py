"""Ways to choose an arm, all behind one protocol. What the peer does is in `peer`."""

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.routing.data import Record
from zoran_ray.routing import Arm, ArmPrice, Feedback, Objective, Outcome, Prior
from zoran_ray.routing.resonator import Resonator

Array = NDArray[np.float64]

_PLAIN = Objective()
_BONUS, _HORIZON, _LISTED = 0.25, 200, 5
"""Of the static mix: bonus of an arm tried once, requests in which savings are spent, trials that the list
price counts."""
_BLIND = np.eye(1, 13)[0]
"""What a router sees that is not to see the prompt."""


class Policy(Protocol):
    """Chooses, is told what came of it, and sees nothing else."""

    def choose(self, x: Array) -> int:
        """The arm for the prompt `x`."""

    def learn(self, x: Array, arm: int, reward: float, usd: float) -> None:
        """What the chosen arm was worth and cost."""


class Adaptable(Policy, Protocol):
    """One that can be told of other prices and arms."""

    def set_prices(self, names: tuple[str, ...], prices: Array) -> None:
        """The price list from now on; names that are not known yet are new arms."""


class Zoran:
    """The PolyResonator as it is shipped: prices from the price list, everything else learned.

    Args:
        prices: float64[K], USD of an average request.
        contextual: False hides the prompt from it: an online-learned static mix.
        exploration: Other than is shipped.
        prior: Other scales than are shipped, see `Prior`.
    """

    def __init__(
        self,
        size: int,
        names: tuple[str, ...],
        prices: Array,
        budget: float,
        seed: int,
        *,
        contextual: bool = True,
        exploration: float | None = None,
        **prior: Any,
    ) -> None:
        self._prior = prior
        self._first: dict[str, float] = {}
        self._usd_per_unit: list[float] = []
        arms = self._arms(names, prices)
        settings: dict[str, Any] = {} if exploration is None else {"exploration": exploration}
        seen = size if contextual else _BLIND.size
        self.router = Resonator(arms, seen, budget_usd=budget, seed=seed, **settings)
        self._rng = np.random.default_rng(seed + 1)
        self._contextual = contextual

    def choose(self, x: Array, objective: Objective = _PLAIN) -> int:
        return self.router.snapshot().choose(self._seen(x), self._rng.random(), objective=objective).arm

    def learn(self, x: Array, arm: int, reward: float, usd: float) -> None:
        self.router.learn(self.feedback(x, arm, reward, usd))

    def feedback(
        self, x: Array, arm: int, reward: float, usd: float, latency_s: float | None = None
    ) -> Feedback:
        """What one request would tell the router."""
        tokens = usd / self._usd_per_unit[arm]
        return Feedback(self._seen(x), arm, Outcome(reward, tokens, latency_s), usd)

    def set_prices(self, names: tuple[str, ...], prices: Array) -> None:
        self.router.set_arms(self._arms(names, prices))

    def _arms(self, names: tuple[str, ...], prices: Array) -> list[Arm]:
        # The record has dollars, not tokens: an arm's unit of "output" costs a dollar until prices change.
        first = [self._first.setdefault(name, float(p)) for name, p in zip(names, prices, strict=True)]
        self._usd_per_unit = [float(p) / f for p, f in zip(prices, first, strict=True)]
        return [
            Arm(name, ArmPrice(output_usd=unit), Prior(output_tokens=f, **self._prior))
            for name, unit, f in zip(names, self._usd_per_unit, first, strict=True)
        ]

    def _seen(self, x: Array) -> Array:
        return x if self._contextual else _BLIND


class StaticMix:
    """An online-learned static mix that shares nothing with us: it never looks at the prompt.

    It counts each arm's mean reward and cost, adds an upper confidence bonus, and draws from the mix of at
    most two arms that would be best within what is left of the budget.

    Args:
        prices: float64[K], USD of an average request.
    """

    def __init__(self, prices: Array, budget: float, seed: int) -> None:
        self._budget, self._bank = budget, 0.0
        self._count, self._reward, self._usd = np.zeros(prices.size), np.ones(prices.size), prices.copy()
        self._rng = np.random.default_rng(seed)

    def choose(self, x: Array) -> int:
        hoped = self._reward + _BONUS / np.sqrt(np.maximum(self._count, 1))
        shares = best_shares(hoped, self._usd, max(self._budget + self._bank / _HORIZON, 0.0))
        cheapest = int(self._usd.argmin())
        arm = cheapest if shares is None else int(self._rng.choice(shares.size, p=shares))
        return arm if self._usd[arm] <= (self._bank + self._budget) / 2 else cheapest

    def learn(self, x: Array, arm: int, reward: float, usd: float) -> None:
        self._count[arm] += 1
        self._reward[arm] += (reward - self._reward[arm]) / self._count[arm]
        self._usd[arm] += (usd - self._usd[arm]) / (self._count[arm] + _LISTED)
        self._bank += self._budget - usd


class Random:
    """Any arm."""

    def __init__(self, arms: int, seed: int) -> None:
        self._arms = arms
        self._rng = np.random.default_rng(seed)

    def choose(self, x: Array) -> int:
        return int(self._rng.integers(self._arms))

    def learn(self, x: Array, arm: int, reward: float, usd: float) -> None:
        pass


def static_mix(record: Record, budget: float) -> float:
    """Mean reward of the best mix of arms within the budget, known in hindsight; -inf if there is none."""
    reward = record.reward.mean(axis=0)
    shares = best_shares(reward, record.usd.mean(axis=0), budget)
    return -math.inf if shares is None else float(reward @ shares)


def best_shares(reward: Array, usd: Array, budget: float) -> Array | None:
    """float64[K], what each arm gets in the best mix within the budget: at most two arms get any.

    Args:
        reward: float64[K], mean reward.
        usd: float64[K], mean cost.
    """
    one = np.eye(usd.size)
    mixes = [one[k] for k in range(usd.size) if usd[k] <= budget]
    for low in range(usd.size):
        for high in range(usd.size):
            if usd[low] <= budget < usd[high]:
                share = (budget - usd[low]) / (usd[high] - usd[low])
                mixes.append((1.0 - share) * one[low] + share * one[high])
    return max(mixes, key=lambda mix: float(reward @ mix), default=None)


def best_fixed(record: Record, budget: float) -> float:
    """Mean reward of the best single arm within the budget; -inf if none is."""
    reward, usd = record.reward.mean(axis=0), record.usd.mean(axis=0)
    return max((float(r) for r, u in zip(reward, usd, strict=True) if u <= budget), default=-math.inf)


def oracle(record: Record, budget: float) -> float:
    """Mean reward of the best choice for each prompt within the budget, everything known in hindsight.

    By the Lagrangian of the budget: at most one prompt's worth above the true optimum.
    """
    rows = np.arange(len(record))

    def at(weight: float) -> tuple[float, float]:
        # Of equal rewards the cheaper counts.
        chosen = (record.reward - weight * record.usd).argmax(axis=1)
        return float(record.reward[rows, chosen].mean()), float(record.usd[rows, chosen].mean())

    reward, usd = at(1e-12)
    if usd <= budget:
        return reward
    low, high = 1e-12, 1e9
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if at(middle)[1] > budget else (low, middle)
    (r0, u0), (r1, u1) = at(high), at(low)
    return r0 + (r1 - r0) * (budget - u0) / (u1 - u0) if u1 > u0 else r0
