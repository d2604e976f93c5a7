"""Reward at a budget: every policy over every seed, and how sure a difference is."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.routing.data import Record
from benchmarks.routing.peer import paretobandit
from benchmarks.routing.policies import (
    Policy,
    Random,
    StaticMix,
    Zoran,
    best_fixed,
    oracle,
    static_mix,
)
from benchmarks.routing.replay import order, replay

Array = NDArray[np.float64]

_RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Line:
    """One policy at one budget: means over the seeds, and its spread over them.

    Attributes:
        usd_ratio: Mean spending divided by the budget; the highest seed beside it.
    """

    policy: str
    budget_usd: float
    reward: float
    reward_std: float
    usd_ratio: float
    usd_ratio_worst: float
    rewards: tuple[float, ...]


def lines_at(record: Record, budget: float, seeds: Sequence[int]) -> list[Line]:
    """Every online policy at one budget."""
    size, names, prices = record.x.shape[1], record.arms, record.list_prices()
    makers: dict[str, Callable[[int], Policy | None]] = {
        "zoran": lambda seed: Zoran(size, names, prices, budget, seed),
        "paretobandit": lambda seed: paretobandit(size, names, prices, budget, seed),
        "static mix, Thompson": lambda seed: Zoran(size, names, prices, budget, seed, contextual=False),
        "static mix, UCB": lambda seed: StaticMix(prices, budget, seed),
        "random": lambda seed: Random(len(names), seed),
    }
    made = (_line(record, name, make, budget, seeds) for name, make in makers.items())
    return [line for line in made if line is not None]


def _line(
    record: Record, name: str, make: Callable[[int], Policy | None], budget: float, seeds: Sequence[int]
) -> Line | None:
    rewards, usd = [], []
    for seed in seeds:
        if (policy := make(seed)) is None:
            return None
        run = replay(record, policy, order(record, seed))
        rewards.append(float(run.reward.mean()))
        usd.append(float(run.usd.mean()))
    return Line(
        name,
        budget,
        float(np.mean(rewards)),
        float(np.std(rewards)),
        float(np.mean(usd)) / budget,
        max(usd) / budget,
        tuple(rewards),
    )


def hindsight(record: Record, budget: float) -> dict[str, float]:
    """What could have been had, known afterwards."""
    return {
        "static mix in hindsight": static_mix(record, budget),
        "best fixed arm": best_fixed(record, budget),
        "oracle": oracle(record, budget),
    }


def gain(ours: Line, theirs: Line) -> tuple[float, float, float]:
    """Mean difference over the seeds and its 95 % interval, by paired bootstrap."""
    difference = np.array(ours.rewards) - np.array(theirs.rewards)
    picks = np.random.default_rng(0).integers(difference.size, size=(_RESAMPLES, difference.size))
    means = difference[picks].mean(axis=1)
    return float(difference.mean()), float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


def measure(record: Record, budgets: Sequence[float], seeds: range) -> dict[str, Any]:
    """Every policy at every budget, for JSON."""
    rows = []
    for budget in budgets:
        lines = lines_at(record, budget, seeds)
        ours, others = lines[0], lines[1:]
        rows.append(
            {
                "budget_usd": budget,
                "lines": [asdict(line) for line in lines],
                "gains": {line.policy: gain(ours, line) for line in others},
                "hindsight": hindsight(record, budget),
            }
        )
    return {
        "prompts": len(record),
        "arms": list(record.arms),
        "size": int(record.x.shape[1]),
        "seeds": len(seeds),
        "budgets": rows,
    }
