"""`zoran/auto` between a small and a large model: recorded answers of both, replayed through the router.

The router that is shipped learns on the stream itself, from nothing, and sees only what it chose. It is
compared with each model alone, with mixes learned online, and with the mix of both models that spends what
the router spent, where chance alone says who is asked. Intervals are over instances:
what a policy is worth on one is its mean over all seeds.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.reasoning.intervals import paired
from benchmarks.routing.data import Record
from benchmarks.routing.policies import Policy, StaticMix, Zoran, oracle
from benchmarks.routing.replay import order, replay

Array = NDArray[np.float64]

WHERE = (0.25, 0.5, 0.75)
"""Budgets: how far between what the cheaper and the dearer model cost."""
ZORAN = "zoran/auto"


def budgets(record: Record) -> list[float]:
    """USD of an average request at each budget."""
    cheap, dear = sorted(record.usd.mean(axis=0))
    return [float(cheap + where * (dear - cheap)) for where in WHERE]


def measured(record: Record, seeds: int) -> list[dict[str, Any]]:
    """Every policy at every budget: reward, spending, and differences with their 95 % intervals."""
    return [
        {"where": where, "budget_usd": budget, **_at(record, budget, seeds)}
        for where, budget in zip(WHERE, budgets(record), strict=True)
    ]


def _at(record: Record, budget: float, seeds: int) -> dict[str, Any]:
    size, prices = record.x.shape[1], record.list_prices()
    makers: dict[str, Callable[[int], Policy]] = {
        ZORAN: lambda seed: Zoran(size, record.arms, prices, budget, seed),
        "learned mix, Thompson": lambda seed: Zoran(
            size, record.arms, prices, budget, seed, contextual=False
        ),
        "learned mix, UCB": lambda seed: StaticMix(prices, budget, seed),
    }
    policies = {name: _replayed(record, make, seeds) for name, make in makers.items()}
    ours, usd, _ = policies[ZORAN]
    rivals = {
        f"{name} alone": (record.reward[:, k], record.usd[:, k]) for k, name in enumerate(record.arms)
    }
    rivals["mix at the same spend"] = mix(record, float(usd.mean()))
    rivals |= {name: found[:2] for name, found in policies.items() if name != ZORAN}
    rows = {name: _row(reward, usd, budget) for name, (reward, usd) in rivals.items()}
    for name, (reward, _) in rivals.items():
        rows[name]["zoran_above"] = [round(each, 4) for each in paired(ours, reward)]
    mine = _row(ours, usd, budget) | {"seeds": policies[ZORAN][2]}
    return {"policies": {ZORAN: mine, **rows}, "oracle": round(oracle(record, budget), 4)}


def _replayed(
    record: Record, make: Callable[[int], Policy], seeds: int
) -> tuple[Array, Array, list[float]]:
    """Mean reward and cost of each instance over the seeds, and the mean reward of each seed."""
    reward, usd, each = np.zeros(len(record)), np.zeros(len(record)), []
    for seed in range(seeds):
        rows = order(record, seed)
        run = replay(record, make(seed), rows)
        reward[rows] += run.reward / seeds
        usd[rows] += run.usd / seeds
        each.append(round(float(run.reward.mean()), 4))
    return reward, usd, each


def mix(record: Record, spend: float) -> tuple[Array, Array]:
    """Expected reward and cost of each instance where chance alone says who is asked, at that spending."""
    cheap, dear = np.argsort(record.usd.mean(axis=0))
    low, high = record.usd[:, cheap].mean(), record.usd[:, dear].mean()
    share = float(np.clip((spend - low) / (high - low), 0, 1)) if high > low else 0.0
    weights = np.zeros(len(record.arms))
    weights[cheap] += 1 - share
    weights[dear] += share
    return record.reward @ weights, record.usd @ weights


def _row(reward: Array, usd: Array, budget: float) -> dict[str, Any]:
    return {
        "reward": round(float(reward.mean()), 4),
        "spent": round(float(usd.mean()) / budget, 4),
    }
