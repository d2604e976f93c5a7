"""The PolyResonator: learners of all arms, the price of a dollar, the mixer and the guard over them.

The one place that learns. It takes outcomes in and gives snapshots out; who carries either is not its
business. Deterministic: the same seed and outcomes give the same snapshots.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.routing.drift import PageHinkley
from zoran_ray.routing.guard import Guard, GuardSettings, Stability, Verdict
from zoran_ray.routing.learner import DRAWS, QUALITY, ArmLearner, Outcome, Prior
from zoran_ray.routing.mixer import Mixer
from zoran_ray.routing.pacer import BudgetPacer
from zoran_ray.routing.snapshot import ArmPrice, Snapshot

Vector = NDArray[np.float64]

TASKS = ("code", "maths", "choice", "writing", "talk", "other")
"""Classes of task, told apart by cues alone."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One model that can be chosen.

    Attributes:
        name: Public name.
        price: What its tokens cost.
        prior: What is believed of it before its first answer.
    """

    name: str
    price: ArmPrice = field(default_factory=ArmPrice)
    prior: Prior = field(default_factory=Prior)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What became of one decision.

    Attributes:
        x: float64[size], the prompt as it was decided on.
        arm: Index of the arm that answered.
        outcome: What is known of the answer.
        usd: What it cost.
        input_tokens: Tokens of the prompt.
        task: One of `TASKS`.
        failed: It ended with an error, or later than it should have.
    """

    x: Vector
    arm: int
    outcome: Outcome
    usd: float = 0.0
    input_tokens: float = 0.0
    task: str = "other"
    failed: bool = False


@dataclass(slots=True)
class _Good:
    """The last good state."""

    learners: list[dict[str, Any]] = field(default_factory=list)
    mixer: dict[str, list[float]] = field(default_factory=dict)
    weights: NDArray[np.float64] | None = None


class Resonator:
    """Learns which arm is worth its price for which prompt.

    Args:
        arms: At least one, names distinct.
        size: Entries of a prompt's vector.
        budget_usd: USD for each request on average.
        guard: When to roll back.
        exploration: How much of the posterior's spread is used: 1 is Thompson sampling, 0 never explores.
        seed: For the ensembles.
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
    ) -> None:
        if not arms or len({arm.name for arm in arms}) != len(arms):
            raise ConfigError("routing needs at least one arm, each with a name of its own")
        self._rng = np.random.default_rng(seed)
        self._exploration = exploration
        self._size = size
        self._arms = tuple(arms)
        self._learners = [ArmLearner(size, arm.prior, self._rng) for arm in arms]
        self._drift = [PageHinkley() for _ in arms]
        self._pacer = BudgetPacer(budget_usd)
        self._mixer = Mixer(TASKS, len(arms))
        self._guard = Guard(guard)
        self._good = _Good()
        self._version = 0
        self.alarms = [0] * len(arms)
        self._snapshot = self._make_snapshot()

    def snapshot(self) -> Snapshot:
        """The present picture, for gateways."""
        return self._snapshot

    def learn(self, feedback: Feedback) -> Verdict | None:
        """Take one outcome in.

        Returns:
            The guard's verdict if it judged now, else None.

        Raises:
            InvalidRequest: Something is not finite, out of range or of another size; nothing has changed.
        """
        self._check(feedback)
        estimates = self._snapshot.estimates(feedback.x)
        usd = self._snapshot.usd(estimates, feedback.input_tokens)
        off = self._learners[feedback.arm].learn(feedback.x, feedback.outcome)
        self._notice_change(feedback.arm, float(off[QUALITY]))
        draw = estimates[DRAWS + int(self._rng.integers(len(estimates) - DRAWS))]
        self._pacer.spent(feedback.usd, draw, usd)
        self._mixer.observe(feedback.task, feedback.arm)
        self._guard.observe(feedback.outcome.quality, self._floor(feedback.x, usd), failed=feedback.failed)
        verdict = self._guard.judge(self._mixer.mean())
        if verdict is Verdict.HEALTHY:
            self._keep()
        elif verdict is Verdict.ROLL_BACK:
            self._roll_back()
        self._snapshot = self._make_snapshot()
        return None if verdict is Verdict.WATCH else verdict

    def stability(self) -> Stability:
        """S of the present state."""
        return self._guard.stability(self._mixer.mean())

    def mix(self, task: str) -> Vector:
        """The EMA mix of one class of task."""
        return self._mixer.mix(task)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "arms": [arm.name for arm in self._arms],
            "learners": copy.deepcopy([learner.state() for learner in self._learners]),
            "mixer": self._mixer.state(),
            "bank_usd": self._pacer.bank_usd,
            "usd_weight": self._pacer.usd_weight,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`; arms it does not know stay as they are.

        Raises:
            ConfigError: It does not fit, or holds numbers that are not finite.
        """
        kept = dict(zip(state["arms"], state["learners"], strict=True))
        for arm, learner in zip(self._arms, self._learners, strict=True):
            if arm.name in kept:
                learner.restore(kept[arm.name])
        if state["arms"] == [arm.name for arm in self._arms]:
            self._mixer.restore(state["mixer"])
        self._pacer.bank_usd = float(state["bank_usd"])
        self._pacer.usd_weight = float(state["usd_weight"])
        self._snapshot = self._make_snapshot()

    def _check(self, feedback: Feedback) -> None:
        known = [v for v in (feedback.outcome.output_tokens, feedback.outcome.latency_s) if v is not None]
        numbers = [feedback.usd, feedback.input_tokens, *known]
        quality = feedback.outcome.quality
        if not 0 <= feedback.arm < len(self._arms) or feedback.task not in TASKS:
            raise InvalidRequest("outcome: no such arm or class of task")
        if feedback.x.shape != (self._size,) or not np.isfinite(feedback.x).all():
            raise InvalidRequest(f"outcome: the prompt's vector must be {self._size} finite numbers")
        if not all(math.isfinite(n) and n >= 0 for n in numbers):
            raise InvalidRequest("outcome: cost, tokens and latency must be finite and not negative")
        if quality is not None and not 0 <= quality <= 1:
            raise InvalidRequest("outcome: a score is within 0..1", param="score")

    def _floor(self, x: Vector, usd: Vector) -> float:
        """What the best fixed arm within the budget was expected to score, by the last good state."""
        if self._good.weights is None:
            return -math.inf
        expected = self._good.weights[QUALITY] @ x
        within = usd <= max(self._pacer.budget_usd, float(usd.min()))
        return float(expected[within].max())

    def _notice_change(self, arm: int, off: float) -> None:
        learner = self._learners[arm]
        if off and self._drift[arm].changed(off, math.sqrt(learner.residual_var[QUALITY])):
            self.alarms[arm] += 1
            learner.soften()

    def _keep(self) -> None:
        self._good = _Good(
            copy.deepcopy([learner.state() for learner in self._learners]),
            self._mixer.state(),
            np.stack([learner.weights[:DRAWS] for learner in self._learners], axis=1),
        )

    def _roll_back(self) -> None:
        for learner, state in zip(self._learners, self._good.learners, strict=True):
            learner.restore(state)
        self._mixer.restore(self._good.mixer)

    def _make_snapshot(self) -> Snapshot:
        self._version += 1
        weights = np.stack([learner.weights for learner in self._learners], axis=1)
        # Less is explored after a rollback.
        spread = self._exploration * (0.5 if self._guard.conservative else 1.0)
        weights[DRAWS:] = weights[QUALITY] + spread * (weights[DRAWS:] - weights[QUALITY])
        return Snapshot(
            version=self._version,
            arms=tuple(arm.name for arm in self._arms),
            weights=weights.reshape(-1, self._size),
            residual_std=np.sqrt(np.stack([learner.residual_var for learner in self._learners], axis=1)),
            prices=tuple(arm.price for arm in self._arms),
            usd_weight=self._pacer.usd_weight,
            allowance_usd=self._pacer.allowance_usd,
        )
