"""How long a decision and an update take, ours and the peer's in turn in one process."""

import time
from collections.abc import Callable

import numpy as np

from benchmarks.routing.peer import paretobandit
from benchmarks.routing.policies import Policy, Zoran

_BLOCKS = 10


def time_policies(size: int, arms: int, steps: int = 3000) -> dict[str, dict[str, float]]:
    """Microseconds of each step at random contexts: p50 and p99 of `choose` and of `learn`."""
    names = tuple(f"arm-{k}" for k in range(arms))
    prices = np.geomspace(1e-5, 1e-2, arms)
    made: dict[str, Policy | None] = {
        "zoran": Zoran(size, names, prices, 1e-3, seed=0),
        "paretobandit": paretobandit(size, names, prices, 1e-3),
    }
    contenders = {name: policy for name, policy in made.items() if policy is not None}
    rng = np.random.default_rng(0)
    x = rng.normal(size=(steps, size)) / np.sqrt(size)
    x[:, 0] = 1.0
    spent: dict[str, list[tuple[int, int]]] = {name: [] for name in contenders}
    for block in np.array_split(np.arange(steps), _BLOCKS):
        for name, policy in contenders.items():
            for row in block:
                spent[name].append(_step(policy, x[row], prices, rng))
    return {name: _summary(np.array(rows[steps // 10 :]) / 1e3) for name, rows in spent.items()}


def _step(policy: Policy, x: np.ndarray, prices: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    reward, noise = float(rng.random()), float(rng.lognormal(0.0, 0.5))
    now: Callable[[], int] = time.perf_counter_ns
    t0 = now()
    arm = policy.choose(x)
    t1 = now()
    policy.learn(x, arm, reward, float(prices[arm]) * noise)
    return t1 - t0, now() - t1


def _summary(us: np.ndarray) -> dict[str, float]:
    return {
        f"{what}_us_p{q}": float(np.percentile(us[:, column], q))
        for column, what in enumerate(("choose", "learn"))
        for q in (50, 99)
    }
