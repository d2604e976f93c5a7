"""What happens when the world changes: one replay each, with the change half-way.

Every scenario alters the record from its middle on and says how soon the router followed and what it got
back. "Followed" is when the mean reward of the latest 25 requests first reaches 95 % of what it settles at
in the last quarter. The recovery ratio is that quarter's reward over that of the best mix within the
budget, known in hindsight for the changed world.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.routing.data import Record
from benchmarks.routing.policies import Zoran, static_mix
from benchmarks.routing.replay import order
from zoran_ray.routing import Feedback, Outcome

Array = NDArray[np.float64]

_LATEST = 25


@dataclass(frozen=True, slots=True)
class Report:
    """One scenario over the seeds.

    Attributes:
        adapted_after: Median requests from the change until the router had followed.
        recovery: Mean recovery ratio.
        alarms_before: Mean change alarms before the change: false ones.
        detected_after: Median requests from the change to the first alarm; None if most seeds had none.
    """

    scenario: str
    adapted_after: float
    recovery: float
    alarms_before: float
    detected_after: float | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A change.

    Attributes:
        changed: The record after the change.
        delay: Outcomes arrive this many requests late.
        poison: Share of outcomes that lie (score turned round).
        restart: The router is replaced by one from its checkpoint at the change.
    """

    changed: Callable[[Record], Record]
    delay: int = 0
    poison: float = 0.0
    restart: bool = False


def _same(record: Record) -> Record:
    return record


def _dearest_for_less(record: Record) -> Record:
    usd = record.usd.copy()
    usd[:, -1] *= 0.05
    return replace(record, usd=usd)


def _best_degrades(record: Record) -> Record:
    reward = record.reward.copy()
    best = int(reward.mean(axis=0).argmax())
    reward[:, best] *= 0.5
    return replace(record, reward=reward)


SCENARIOS: dict[str, Scenario] = {
    "stationary": Scenario(_same),
    "price drop": Scenario(_dearest_for_less),
    "silent degradation": Scenario(_best_degrades),
    "delayed feedback": Scenario(_same, delay=50),
    "poisoned feedback": Scenario(_same, poison=0.1),
    "restart": Scenario(_same, restart=True),
}


def run(record: Record, name: str, budget: float, seeds: range) -> Report:
    """One scenario over all seeds."""
    scenario = SCENARIOS[name]
    changed = scenario.changed(record)
    best = static_mix(changed, budget)
    rows = [_one(record, changed, scenario, budget, seed) for seed in seeds]
    adapted, last, false, found = (np.array([row[k] for row in rows], dtype=float) for k in range(4))
    seen = found[~np.isnan(found)]
    return Report(
        name,
        float(np.median(adapted)),
        float(last.mean() / best),
        float(false.mean()),
        float(np.median(seen)) if seen.size > len(rows) / 2 else None,
    )


def _one(
    record: Record, changed: Record, scenario: Scenario, budget: float, seed: int
) -> tuple[float, float, float, float]:
    rows = order(record, seed)
    prices = record.list_prices()
    policy = Zoran(record.x.shape[1], record.arms, prices, budget, seed)
    rng = np.random.default_rng(seed)
    half, late = rows.size // 2, []
    rewards = np.zeros(rows.size)
    before, found = 0, float("nan")
    for step, row in enumerate(rows):
        if step == half:
            before = sum(policy.router.alarms)
            if scenario.restart:
                state, policy = (
                    policy.router.state(),
                    Zoran(record.x.shape[1], record.arms, prices, budget, seed + 1),
                )
                policy.router.restore(state)
        world = record if step < half else changed
        x = world.x[row]
        arm = policy.choose(x)
        rewards[step] = world.reward[row, arm]
        told = 1.0 - rewards[step] if rng.random() < scenario.poison else rewards[step]
        usd = float(world.usd[row, arm])
        late.append(Feedback(x, arm, Outcome(float(told), usd), usd))
        if len(late) > scenario.delay:
            policy.router.learn(late.pop(0))
        if step >= half and np.isnan(found) and sum(policy.router.alarms) > before:
            found = float(step - half)
    return _followed(rewards[half:]), float(rewards[-rows.size // 4 :].mean()), float(before), found


def _followed(rewards: Array) -> float:
    """Requests until the latest ones are worth 95 % of what they settle at."""
    settled = rewards[-rewards.size // 2 :].mean()
    latest = np.convolve(rewards, np.full(_LATEST, 1 / _LATEST), mode="valid")
    reached = np.flatnonzero(latest >= 0.95 * settled)
    # The first window lies wholly after the change: its end is when it was known.
    return float(reached[0] + _LATEST) if reached.size else float(rewards.size)
