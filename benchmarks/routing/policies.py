"""Ways to choose an arm, all behind one protocol. What the peer does is in `peer`."""

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.routing.data import Record
from zoran_ray.routing import Arm, ArmPrice, Feedback, Outcome, Prior, Resonator

Array = NDArray[np.float64]


class Policy(Protocol):
    """Chooses, is told what came of it, and sees nothing else."""

    def choose(self, x: Array) -> int:
        """The arm for the prompt `x`."""

    def learn(self, x: Array, arm: int, reward: float, usd: float) -> None:
        """What the chosen arm was worth and cost."""


class Zoran:
    """The PolyResonator as it is shipped: prices from the price list, everything else learned.

    Args:
        prices: float64[K], USD of an average request.
        contextual: False hides the prompt from it: an online-learned static mix.
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
    ) -> None:
        # The record has dollars, not tokens: one unit of "output" that costs a dollar each.
        arms = [
            Arm(name, ArmPrice(output_usd=1.0), Prior(output_tokens=float(price)))
            for name, price in zip(names, prices, strict=True)
        ]
        self._router = Resonator(arms, size if contextual else 13, budget_usd=budget, seed=seed)
        self._rng = np.random.default_rng(seed + 1)
        self._blind = None if contextual else np.eye(13)[0]

    def choose(self, x: Array) -> int:
        seen = x if self._blind is None else self._blind
        return self._router.snapshot().choose(seen, self._rng.random()).arm

    def learn(self, x: Array, arm: int, reward: float, usd: float) -> None:
        seen = x if self._blind is None else self._blind
        self._router.learn(Feedback(seen, arm, Outcome(reward, usd), usd))

    @property
    def router(self) -> Resonator:
        """For what only a scenario looks at."""
        return self._router


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
    """Mean reward of the best mix of arms within the budget, known in hindsight."""
    reward, usd = record.reward.mean(axis=0), record.usd.mean(axis=0)
    best = max((r for r, u in zip(reward, usd, strict=True) if u <= budget), default=-math.inf)
    for i in range(usd.size):
        for j in range(usd.size):
            if usd[i] <= budget < usd[j]:
                share = (budget - usd[i]) / (usd[j] - usd[i])
                best = max(best, reward[i] + share * (reward[j] - reward[i]))
    return float(best)


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
