"""The PolyResonator: learners of all arms, the price of a dollar, the mixer and the guard over them.

The one place that learns. It takes outcomes in and gives snapshots out; who carries either is not its
business. Deterministic: the same seed and outcomes give the same snapshots. Long, because learning, the
guard's way back and the checkpoint are about the same parts and must agree on all of them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import ConfigError
from zoran_ray.routing.features import TASKS as TASKS
from zoran_ray.routing.feedback import QUALITY, TOKENS, Arm, Feedback, Outcome
from zoran_ray.routing.guard import Guard, GuardSettings, Stability, Verdict
from zoran_ray.routing.learners import Learners
from zoran_ray.routing.mixer import AGENTS, Mixer
from zoran_ray.routing.pacer import BudgetPacer, usd_weights
from zoran_ray.routing.recent import Recent
from zoran_ray.routing.snapshot import ROLLED_BACK, Snapshot
from zoran_ray.routing.sources import OPERATOR, Sources

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_KEEP_EVERY = 200
"""Outcomes between two copies of a good state: it is large, and the guard is not that fast."""


@dataclass(slots=True)
class _Good:
    """The last good state.

    Attributes:
        fixed: Quality weights of the arms that the budget would pay for every request.
        age: How many outcomes ago it was.
    """

    learners: dict[str, dict[str, Any]] = field(default_factory=dict)
    mixer: dict[str, list[float]] = field(default_factory=dict)
    fixed: Matrix | None = None
    age: int = 0


class Resonator:
    """Learns which arm is worth its price for which prompt.

    Args:
        arms: At least one, names distinct, all with as many members.
        size: Entries of a prompt's vector.
        budget_usd: USD for each request on average.
        guard: When to roll back.
        exploration: How much of the posterior's spread is used: 1 is Thompson sampling, 0 never explores.
        seed: For the ensembles.
        sources: Bounds on what one source of scores may say.
    """

    def __init__(
        self,
        arms: Sequence[Arm],
        size: int,
        *,
        budget_usd: float = math.inf,
        guard: GuardSettings = GuardSettings(),  # noqa: B008 - frozen
        exploration: float = 0.5,
        seed: int = 0,
        sources: Sources | None = None,
    ) -> None:
        self._exploration = exploration
        self._size = size
        self._learners = Learners(arms, size, np.random.default_rng(seed))
        self._pacer = BudgetPacer(budget_usd)
        self._mixer = Mixer(TASKS, len(arms))
        self._agents = Mixer(TASKS, len(AGENTS))
        self._guard = Guard(guard)
        self._good = _Good()
        self._sources = Sources() if sources is None else sources
        self._recent = Recent(size, self._learners.weights)
        self._version = 0
        self._snapshot: Snapshot | None = None
        self.requests = 0
        self.spent_usd = 0.0

    # -- for gateways and operators ---------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The present picture; made when it is asked for and something has changed."""
        if self._snapshot is None:
            self._version += 1
            self._snapshot = Snapshot(
                version=self._version,
                arms=self._learners.names,
                weights=self._learners.weights.reshape(-1, self._size).copy(),
                residual_var=self._learners.residual_var.copy(),
                prices=self._learners.prices,
                usd_weight=self._pacer.usd_weight,
                allowance_usd=self._pacer.allowance_usd,
                spread=self._spread(),
                guard=ROLLED_BACK if self._guard.conservative else "",
                rollbacks=self._guard.rollbacks,
            )
        return self._snapshot

    def publication(self, epoch: str = "") -> Snapshot:
        """The same with what only gateways need: mixes, and weights for budgets that requests bring."""
        self._recent.revalue(self._learners.weights)
        return replace(
            self.snapshot(),
            epoch=epoch,
            usd_weights=usd_weights(*self._forecasts()),
            tasks=self._mixer.mixes(),
            agents=self._agents.mixes(),
        )

    def typical(self) -> tuple[Vector, float]:
        """The mean vector of the latest prompts, and their mean tokens."""
        return self._recent.typical()

    def mix(self, task: str) -> Vector:
        """The EMA mix of one class of task."""
        return self._mixer.mix(task)

    def stability(self) -> Stability:
        """S of the present state."""
        return self._guard.stability(self._mixer.mean())

    @property
    def alarms(self) -> list[int]:
        """How often each arm seemed to have changed."""
        return self._learners.alarms

    @property
    def outcomes(self) -> tuple[int, ...]:
        """How many outcomes each arm has learned from."""
        return self._learners.outcomes

    @property
    def rollbacks(self) -> int:
        """How many there were."""
        return self._guard.rollbacks

    @property
    def bank_usd(self) -> float:
        """What was saved of the budget so far; below 0 it is a debt."""
        return self._pacer.bank_usd

    # -- learning ---------------------------------------------------------------------------

    def learn(self, feedback: Feedback) -> Verdict | None:
        """Take one finished request in.

        Returns:
            The guard's verdict if it judged now, else None.

        Raises:
            InvalidRequest: Something is not finite, out of range or of another size; nothing has changed.
        """
        feedback.check(self._size, len(self._learners))
        self._sources.seen(feedback.source, feedback.at)
        heard = self._absorb(feedback)
        self._recent.add(feedback.x, feedback.input_tokens, self._learners.weights)
        if self._pacer.spent(feedback.usd):
            self._pacer.solve(*self._forecasts())
        self._mixer.observe(feedback.task, feedback.arm)
        self._good.age += 1
        self.requests += 1
        self.spent_usd += feedback.usd
        return self._judge(feedback) if heard else None

    def score(
        self,
        x: Vector,
        arm: int,
        quality: float,
        task: str = "other",
        source: str = OPERATOR,
        *,
        at: float = 0.0,
        weight: float = 1.0,
    ) -> bool:
        """Take in a score that comes after its request: neither money nor mix have anything to do with it.

        Args:
            source: Who says so; "" is believed without bound, see `sources`.
            at: Unix time in seconds.
            weight: Below 1 for weaker evidence.

        Returns:
            Whether it counts; not if its source has said too much.

        Raises:
            InvalidRequest: As `learn`; nothing has changed.
        """
        feedback = Feedback(x, arm, Outcome(quality, weight=weight), task=task, source=source, at=at)
        feedback.check(self._size, len(self._learners))
        if not self._absorb(feedback):
            return False
        self._judge(feedback)
        return True

    def observe_agent(self, task: str, agent: str) -> None:
        """Count that an agent, one of `AGENTS`, took a task. Raises: KeyError, ValueError: no such one."""
        self._agents.observe(task, AGENTS.index(agent))
        self._snapshot = None

    def _absorb(self, feedback: Feedback) -> bool:
        """Teach the arm. Returns: whether what the source says of quality and failure is heard."""
        self._snapshot = None
        outcome, source = feedback.outcome, feedback.source
        if source == OPERATOR:
            self._change(self._learners.learn(feedback.arm, feedback.x, outcome))
            return True
        weight = outcome.weight
        if outcome.quality is not None or feedback.failed:
            weight = self._sources.grant(source, weight, feedback.at)
        outcome = replace(outcome, weight=weight) if weight > 0 else replace(outcome, quality=None)
        name = self._learners.arms[feedback.arm].name
        changed = self._learners.learn(
            feedback.arm,
            feedback.x,
            outcome,
            lambda step: self._sources.share_of(source, name, step, feedback.at),
        )
        self._change(changed)
        return weight > 0

    # -- the guard --------------------------------------------------------------------------

    def _judge(self, feedback: Feedback) -> Verdict | None:
        self._guard.observe(feedback.outcome.quality, self._floor(feedback.x), failed=feedback.failed)
        if not self._guard.due:
            return None
        verdict = self._guard.judge(self._mixer.mean())
        if verdict is Verdict.HEALTHY:
            self._keep()
        elif verdict is Verdict.ROLL_BACK:
            self._roll_back()
        return None if verdict is Verdict.WATCH else verdict

    def _floor(self, x: Vector) -> float:
        """What the best fixed arm within the budget was expected to score, by the last good state."""
        return -math.inf if self._good.fixed is None else max(self._good.fixed.dot(x).tolist())

    def _change(self, changed: bool) -> None:
        """Where the world has changed, there is no good state of it yet to go back to."""
        if changed:
            self._renew_guard()

    def _renew_guard(self) -> None:
        guard = Guard(self._guard.settings)
        guard.rollbacks = self._guard.rollbacks
        self._guard, self._good = guard, _Good()

    def _keep(self) -> None:
        if self._good.fixed is None or self._good.age >= _KEEP_EVERY:
            _, costs = self._forecasts()
            usd = costs.mean(axis=0)
            within = usd <= max(self._pacer.budget_usd, float(usd.min()))
            self._good = _Good(
                self._learners.state(), self._mixer.state(), self._learners.weights[QUALITY, within]
            )

    def _roll_back(self) -> None:
        self._learners.restore(self._good.learners)
        self._mixer.restore(self._good.mixer)

    def _forecasts(self) -> tuple[Matrix, Matrix]:
        log_var = self._learners.residual_var[TOKENS]
        return self._recent.forecasts(self._learners.prices, log_var, self._spread())

    def _spread(self) -> float:
        """Less is explored after a rollback."""
        return self._exploration * (0.5 if self._guard.conservative else 1.0)

    # -- changes from outside ---------------------------------------------------------------

    def set_arms(self, arms: Sequence[Arm]) -> None:
        """Another catalogue: what was learned of names that stay is kept, whatever they cost now.

        New ones start from their prior. Where the names change, the guard begins anew: there is no good
        state of these arms yet.

        Raises:
            ConfigError: No arm, or two of one name; nothing has changed.
        """
        if tuple(arms) == self._learners.arms:
            return
        before = self._learners.names
        origins = self._learners.replace(arms)
        if self._learners.names != before:
            self._mixer.rearrange(origins)
            self._sources.forget_arms(frozenset(self._learners.names))
            self._renew_guard()
        self._renew_pacer(self._pacer.budget_usd, self._pacer.bank_usd)

    def set_budget(self, budget_usd: float) -> None:
        """Another budget, in USD per request; infinite: none. Savings and debts of the old one are void.

        Raises:
            ConfigError: Not above 0.
        """
        if budget_usd != self._pacer.budget_usd:
            self._renew_pacer(budget_usd, 0.0)

    def _renew_pacer(self, budget_usd: float, bank_usd: float) -> None:
        """A pacer that knows the latest prompts at present prices."""
        self._recent.revalue(self._learners.weights)
        self._pacer = BudgetPacer(budget_usd)
        if math.isfinite(budget_usd):
            self._pacer.bank_usd = bank_usd
            if len(self._recent):
                self._pacer.solve(*self._forecasts())
        self._snapshot = None

    # -- checkpoints ------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: arrays, numbers, texts, and lists and dicts of them."""
        return {
            "arms": list(self._learners.names),
            "learners": self._learners.state(),
            "mixer": self._mixer.state(),
            "agents": self._agents.state(),
            "bank_usd": self._pacer.bank_usd,
            "usd_weight": self._pacer.usd_weight,
            "rollbacks": self._guard.rollbacks,
            "requests": self.requests,
            "spent_usd": self.spent_usd,
            "sources": self._sources.state(),
            "recent": self._recent.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> tuple[str, ...]:
        """Go on from `state`, as far as it fits: arms that it does not know stay as they are.

        Returns:
            Names of the arms whose part of it did not fit, as after another size of the vector.

        Raises:
            ConfigError: It is no such state, or holds numbers that are not finite.
        """
        try:
            return self._restore(state)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise ConfigError(f"routing checkpoint: it is not one of a router: {error!r}") from error

    def _restore(self, state: Mapping[str, Any]) -> tuple[str, ...]:
        numbers = [float(state[name]) for name in ("bank_usd", "usd_weight", "spent_usd")]
        if not all(map(math.isfinite, numbers)):
            raise ConfigError("routing checkpoint: the budget is not finite")
        bank_usd, usd_weight, spent_usd = numbers
        places = {str(name): place for place, name in enumerate(state["arms"])}
        mixer = Mixer(TASKS, len(places))
        mixer.restore(state["mixer"])
        mixer.rearrange([places.get(name) for name in self._learners.names])
        misfits = self._learners.restore(state["learners"])
        self._mixer = mixer
        self._agents.restore(state["agents"])
        self._sources.restore(state["sources"])
        self._recent.restore(state["recent"])
        self._guard.rollbacks = int(state["rollbacks"])
        self.requests, self.spent_usd = int(state["requests"]), spent_usd
        self._renew_pacer(self._pacer.budget_usd, bank_usd)
        self._pacer.usd_weight = usd_weight
        return misfits
