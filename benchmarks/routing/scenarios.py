"""What happens when the world changes. Each scenario is a replay of phases, as in the peer's experiments:

* **learn**: two fifths of the prompts, nothing counts;
* **before**: three tenths, nothing has changed;
* **during**: the last three tenths, with the change;
* **after**: the prompts of *before* once more in another order, with the change undone where it can be.

How the figures are meant:

* *adapted after*: requests from the change until the arm that lost its place has less than half of its
  former share of the latest 50 requests.
* *adopted after*: requests from its arrival to the first of 50 in a row at which the new arm has a tenth of
  the latest 100; the peer's own definition.
* *recovery*: mean reward *after* divided by that *before*, on the same prompts; the peer's own definition.
* *during ÷ static*: mean reward *during* divided by that of the best mix within the budget, known in
  hindsight for the changed world.
* *detected after*: requests from the change to the first alarm of the arm that changed.
* *false alarms*: alarms per 1,000 requests where nothing had changed: before it, and of other arms.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.routing.data import Record
from benchmarks.routing.peer import paretobandit
from benchmarks.routing.policies import Adaptable, Zoran, best_shares, static_mix
from zoran_ray.routing import Objective
from zoran_ray.routing.checkpoint import decoded, encoded

Array = NDArray[np.float64]

FALL = 0.18
"""Share of its reward that the degraded arm loses: the peer's silent degradation."""
PRICE_DROP = 0.018
"""Of its former price: the peer's drop, from 5.6 to 0.1 USD per million tokens."""
DELAY, LIARS, SLO_S, SPIKE = 50, 0.1, 10.0, 10.0
LATEST, HELD = 50, 50
PEERLESS = ("latency spike", "delayed feedback", "poisoned feedback", "restart")
"""The peer knows nothing of latency, and its interface is not made for the others."""


@dataclass(frozen=True, slots=True)
class Run:
    """One replay.

    Attributes:
        arms: int64[N], for each request of the three phases that count.
        reward: float64[N].
        usd: Mean cost of a request, of all phases.
        phase: Requests in one of them.
        target: The arm that changes.
        alarms: Request and arm of each.
    """

    arms: NDArray[np.int64]
    reward: Array
    usd: float
    phase: int
    target: int
    alarms: tuple[tuple[int, int], ...]

    def of(self, phase: int, what: Array) -> Array:
        """The part of `what` that belongs to a phase: 0 before, 1 during, 2 after."""
        ends = (0, self.phase, what.size - self.phase, what.size)
        return what[ends[phase] : ends[phase + 1]]


@dataclass(frozen=True, slots=True)
class Report:
    """One scenario at one budget over the seeds; None: does not apply, or most seeds never got there."""

    scenario: str
    policy: str
    budget_usd: float
    adapted_after: float | None
    adopted_after: float | None
    recovery: float
    during: float
    usd_ratio: float
    detected_after: float | None
    false_alarms: float | None


SCENARIOS = (
    "stationary",
    "price drop",
    "silent degradation",
    "new arm",
    "latency spike",
    "delayed feedback",
    "poisoned feedback",
    "restart",
)


def report(record: Record, name: str, budget: float, seeds: range, policy: str = "zoran") -> Report | None:
    """One scenario over all seeds; None where the policy is not installed or cannot do it."""
    if policy != "zoran" and (name in PEERLESS or _peer(record, budget, 0) is None):
        return None
    runs = [simulate(record, name, budget, seed, policy) for seed in seeds]
    target = runs[0].target
    changed = _changed(record, name, target)
    best = static_mix(changed, budget)
    moved = name in ("silent degradation", "latency spike")
    return Report(
        scenario=name,
        policy=policy,
        budget_usd=budget,
        adapted_after=_median([_adapted(run) for run in runs]) if moved else None,
        adopted_after=_median([_adopted(run) for run in runs]) if name == "new arm" else None,
        recovery=float(
            np.mean([run.of(2, run.reward).mean() / run.of(0, run.reward).mean() for run in runs])
        ),
        during=float(np.mean([run.of(1, run.reward).mean() for run in runs]) / best),
        usd_ratio=float(np.mean([run.usd for run in runs]) / budget),
        detected_after=_median([_detected(run) for run in runs]) if moved and policy == "zoran" else None,
        false_alarms=_false_alarms(runs, moved) if policy == "zoran" else None,
    )


def simulate(record: Record, name: str, budget: float, seed: int, policy: str = "zoran") -> Run:
    """One replay of one scenario."""
    rng = np.random.default_rng(7000 + seed)
    rows = rng.permutation(len(record))
    learn, before, during = np.split(rows, [2 * rows.size // 5, rows.size - 3 * rows.size // 10])
    before = before[: during.size]
    target = _target(record, name, budget)
    changed = _changed(record, name, target)
    stage = _Stage(record, name, budget, seed, policy, target)
    stage.play(record, learn)
    stage.play(record, before)
    stage.change(changed)
    stage.play(changed, during)
    if name != "new arm":
        stage.change(record)
    stage.play(changed if name == "new arm" else record, rng.permutation(before))
    return stage.run(before.size)


class _Stage:
    """One policy in one scenario."""

    def __init__(
        self, record: Record, name: str, budget: float, seed: int, policy: str, target: int
    ) -> None:
        self._name, self._target, self._budget, self._seed = name, target, budget, seed
        self._record = record
        # A new arm comes last in the policy's list; it is not there at first.
        self._order = [k for k in range(len(record.arms)) if name != "new arm" or k != target]
        self._policy: Adaptable = self._made(policy)
        self._rng = np.random.default_rng(seed)
        self._late: list[tuple[Array, int, float, float, float | None]] = []
        self._arms: list[int] = []
        self._reward: list[float] = []
        self._usd: list[float] = []
        self._alarms: list[tuple[int, int]] = []
        self._seconds = np.array([1.0 + k for k in range(len(record.arms))])
        slow = name == "latency spike"
        self._objective = Objective(latency_slo_ms=SLO_S * 1000.0 if slow else None)

    def change(self, world: Record) -> None:
        """What everybody is told: prices and arms. A degradation is silent."""
        if self._name == "new arm" and self._target not in self._order:
            self._order.append(self._target)
            self._tell(world)
        elif self._name == "price drop":
            self._tell(world)
        elif self._name == "latency spike":
            self._seconds[self._target] *= SPIKE if self._seconds[self._target] < SPIKE else 1.0 / SPIKE
        elif self._name == "restart" and isinstance(self._policy, Zoran):
            state = decoded(encoded(self._policy.router.state()))
            self._seed += 1
            self._policy = self._made("zoran")
            assert isinstance(self._policy, Zoran)
            self._policy.router.restore(state)

    def play(self, world: Record, rows: NDArray[np.int64]) -> None:
        """Route and learn."""
        for row in rows:
            x = world.x[row]
            place = self._choose(x)
            arm = self._order[place]
            seconds = float(self._seconds[arm] * self._rng.lognormal(0.0, 0.5))
            reward, usd = float(world.reward[row, arm]), float(world.usd[row, arm])
            slow = self._name == "latency spike"
            missed = self._objective.latency_weight * float(seconds > SLO_S) if slow else 0.0
            self._late.append((x, place, reward, usd, seconds if slow else None))
            if len(self._late) > (DELAY if self._name == "delayed feedback" else 0):
                self._learn(*self._late.pop(0))
            self._arms.append(arm)
            self._reward.append(reward - missed)
            self._usd.append(usd)

    def run(self, phase: int) -> Run:
        """What counts of it."""
        count = 3 * phase
        skipped = len(self._arms) - count
        return Run(
            np.array(self._arms[-count:]),
            np.array(self._reward[-count:]),
            float(np.mean(self._usd)),
            phase,
            self._target,
            tuple((at - skipped, arm) for at, arm in self._alarms if at >= skipped),
        )

    def _choose(self, x: Array) -> int:
        if isinstance(self._policy, Zoran):
            return self._policy.choose(x, self._objective)
        return self._policy.choose(x)

    def _learn(self, x: Array, place: int, reward: float, usd: float, seconds: float | None) -> None:
        if not isinstance(self._policy, Zoran):
            self._policy.learn(x, place, reward, usd)
            return
        feedback = self._policy.feedback(x, place, reward, usd, seconds)
        if self._name == "poisoned feedback":
            # One key in eleven turns every score round; ten others tell the truth.
            liar = self._rng.random() < LIARS
            told = replace(feedback.outcome, quality=1.0 - reward) if liar else feedback.outcome
            source = "liar" if liar else f"key-{self._rng.integers(10)}"
            feedback = replace(feedback, outcome=told, source=source, at=float(len(self._arms)))
        before = list(self._policy.router.alarms)
        self._policy.router.learn(feedback)
        for k, (now, then) in enumerate(zip(self._policy.router.alarms, before, strict=True)):
            self._alarms += [(len(self._arms), self._order[k])] * (now - then)

    def _made(self, policy: str) -> Adaptable:
        names, prices = self._list(self._record)
        size = self._record.x.shape[1]
        if policy == "zoran":
            return Zoran(size, names, prices, self._budget, self._seed)
        peer = paretobandit(size, names, prices, self._budget, self._seed)
        assert peer is not None
        return peer

    def _tell(self, world: Record) -> None:
        self._policy.set_prices(*self._list(world))

    def _list(self, world: Record) -> tuple[tuple[str, ...], Array]:
        return tuple(world.arms[k] for k in self._order), world.list_prices()[self._order]


def _target(record: Record, name: str, budget: float) -> int:
    """The arm that changes: the dearest, the one that is missed most, or the one used most."""
    if name == "price drop":
        return len(record.arms) - 1
    shares = best_shares(record.reward.mean(axis=0), record.usd.mean(axis=0), budget)
    if name == "new arm":
        return min(range(len(record.arms)), key=lambda arm: static_mix(_without(record, arm), budget))
    return 0 if shares is None else int(shares.argmax())


def _without(record: Record, arm: int) -> Record:
    kept = [k for k in range(len(record.arms)) if k != arm]
    return replace(
        record,
        arms=tuple(record.arms[k] for k in kept),
        reward=record.reward[:, kept],
        usd=record.usd[:, kept],
    )


def _changed(record: Record, name: str, target: int) -> Record:
    reward, usd = record.reward.copy(), record.usd.copy()
    if name == "silent degradation":
        reward[:, target] = np.maximum(0.0, reward[:, target] - FALL * reward[:, target].mean())
    if name == "price drop":
        usd[:, target] *= PRICE_DROP
    return replace(record, reward=reward, usd=usd)


def _peer(record: Record, budget: float, seed: int) -> Adaptable | None:
    return paretobandit(record.x.shape[1], record.arms, record.list_prices(), budget, seed)


def _shares(run: Run, window: int) -> Array:
    """At each request the target's share of the latest ones."""
    hits = np.cumsum(np.concatenate([np.zeros(window), run.arms == run.target]))
    shares: Array = (hits[window:] - hits[:-window]) / window
    return shares


def _adapted(run: Run) -> float | None:
    normal = float((run.of(0, run.arms.astype(float)) == run.target).mean())
    left = np.flatnonzero(run.of(1, _shares(run, LATEST)) < 0.5 * normal)
    return float(left[0] + 1) if left.size else None


def _adopted(run: Run) -> float | None:
    there = np.concatenate([run.of(phase, _shares(run, 100)) for phase in (1, 2)]) >= 0.1
    held = np.convolve(there, np.ones(HELD), mode="valid") == HELD
    return float(held.argmax() + 1) if held.any() else None


def _detected(run: Run) -> float | None:
    found = [
        at - run.phase for at, arm in run.alarms if arm == run.target and run.phase < at <= 2 * run.phase
    ]
    return float(found[0]) if found else None


def _false_alarms(runs: list[Run], moved: bool) -> float:
    false = [
        1 for run in runs for at, arm in run.alarms if at <= run.phase or not (moved and arm == run.target)
    ]
    return 1000.0 * len(false) / sum(run.arms.size for run in runs)


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if len(known) > len(values) / 2 else None
