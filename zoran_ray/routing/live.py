"""A Resonator that follows a catalogue by name and learns from the journal, in its order.

Beside it there is one for the roles of agents: the same prompts, and a choice of its own.
Everything the actor does but the mailbox: pure and synchronous. Knows offers and reports; no files, no Ray.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.models_file import ModelSpec
from zoran_ray.offers import ArmSpec
from zoran_ray.routing.checkpoint import decoded, encoded
from zoran_ray.routing.feedback import IMPLICIT, Arm, Feedback, Outcome, Prior
from zoran_ray.routing.guard import GuardSettings
from zoran_ray.routing.journal import LateScore, Logged, Mark
from zoran_ray.routing.mixer import AGENTS
from zoran_ray.routing.needs import is_embedder
from zoran_ray.routing.prices import ArmPrice
from zoran_ray.routing.roles import ROLE_ARMS, role_of
from zoran_ray.routing.snapshot import ROLLED_BACK, Snapshot
from zoran_ray.routing.sources import Sources
from zoran_ray.settings import RoutingSettings

if TYPE_CHECKING:
    from zoran_ray.routing.resonator import Resonator

log = logging.getLogger("zoran.routing")

_MILLION = 1e6


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The guard has returned to its last good state.

    Attributes:
        at: Unix time of the request after which it did, in seconds.
        rollbacks: How many there were so far.
        stability: S before, as last published; None if it was not.
    """

    at: float
    rollbacks: int
    stability: float | None


class LiveResonator:
    """One Resonator through changes of the catalogue; there is none before the first arm is known.

    Args:
        settings: Budget, exploration, guard.
        epoch: Differs in each life of whoever publishes.
        announce: Is told of every rollback.
    """

    def __init__(
        self, settings: RoutingSettings, epoch: str, announce: Callable[[RolledBack], None] = lambda _: None
    ) -> None:
        self._settings = settings
        self._epoch = epoch
        self._announce = announce
        self._resonator: Resonator | None = None
        self._roles: Resonator | None = None
        self._places: dict[str, int] = {}
        self._kept: Mapping[str, Any] | None = None
        self._stability: float | None = None
        self.mark = Mark()
        self.counts = dict.fromkeys(
            ("answered", "scored", "unheard", "of_other_arms", "unfit", "skipped"), 0
        )

    @property
    def ready(self) -> bool:
        """Whether there is an arm."""
        return self._resonator is not None

    # -- what there is to choose from -------------------------------------------------------

    def follow(self, offers: Iterable[ModelSpec | ArmSpec]) -> bool:
        """Choose among these from now on; what was learned of names that stay is kept.

        Returns:
            Whether there is anything to choose from; otherwise all stays as it was.
        """
        arms = [self._arm(offer) for offer in offers if not is_embedder(offer)]
        if not arms:
            return False
        if self._resonator is None:
            self._resonator = self._new(arms)
            # What a role costs is what the model costs that it asks: gateways put that in.
            self._roles = self._new([self._role(name) for name in ROLE_ARMS])
            self._take_over(self._resonator, self._roles)
        else:
            self._resonator.set_arms(arms)
        self._places = {arm.name: place for place, arm in enumerate(arms)}
        return True

    def _arm(self, offer: ModelSpec | ArmSpec) -> Arm:
        price = ArmPrice(offer.usd_per_million_input / _MILLION, offer.usd_per_million_output / _MILLION)
        return Arm(offer.public_name, price, Prior(remembered=self._settings.remembered))

    def _role(self, name: str) -> Arm:
        return Arm(name, ArmPrice(), Prior(remembered=self._settings.remembered))

    def _new(self, arms: list[Arm]) -> Resonator:
        # It brings a compiler with it: only a process that learns has to.
        from zoran_ray.routing.resonator import Resonator

        settings = self._settings
        budget = settings.budget_usd_per_request
        return Resonator(
            arms,
            settings.size,
            budget_usd=math.inf if budget is None else budget,
            guard=GuardSettings(
                threshold=settings.guard_threshold,
                hysteresis=settings.guard_hysteresis,
                cooldown=settings.guard_cooldown,
            ),
            exploration=settings.exploration,
            sources=Sources(settings.scores_per_key, settings.most_moved),
        )

    # -- learning ---------------------------------------------------------------------------

    def learn(self, logged: Logged) -> None:
        """Learn one decision of the journal. One of an arm that is gone teaches nothing."""
        self.mark = Mark(logged.seq, self.mark.scored)
        answered = logged.answered
        found = self._pupil(answered.arm)
        if found is None:
            self.counts["of_other_arms"] += 1
            return
        resonator, place = found
        # Tokens of an answer that broke off say nothing of those of a whole one.
        whole = not answered.failed or answered.score != 0
        outcome = Outcome(
            answered.score,
            answered.output_tokens if whole else None,
            answered.latency_s if whole else None,
            IMPLICIT,
        )
        feedback = Feedback(
            answered.vector(), place, outcome, answered.usd, answered.input_tokens, answered.task,
            answered.failed, answered.key_id, answered.at,
        )  # fmt: skip
        self._teach(resonator, lambda resonator: _learned(resonator, feedback), "answered", answered.at)
        if resonator is self._roles and self._resonator is not None:
            self._resonator.observe_agent(answered.task, role_of(answered.arm) or "")

    def score(self, late: LateScore) -> None:
        """Learn one late score of the journal."""
        self.mark = Mark(self.mark.answered, late.seq)
        answered = late.answered
        found = self._pupil(answered.arm)
        if found is None:
            self.counts["of_other_arms"] += 1
            return
        resonator, place = found
        weight = IMPLICIT if late.implicit else 1.0
        self._teach(
            resonator,
            lambda resonator: resonator.score(
                answered.vector(), place, late.score, answered.task, answered.key_id,
                at=late.at, weight=weight,
            ),
            "scored",
            late.at,
        )  # fmt: skip

    def _pupil(self, arm: str) -> tuple[Resonator, int] | None:
        """Who learns of an arm, and its place there; None where nobody knows it."""
        if self._resonator is None or self._roles is None:
            return None
        if arm in ROLE_ARMS:
            return self._roles, ROLE_ARMS.index(arm)
        place = self._places.get(arm)
        return None if place is None else (self._resonator, place)

    def _teach(
        self, resonator: Resonator, lesson: Callable[[Resonator], bool], counted: str, at: float
    ) -> None:
        rollbacks = resonator.rollbacks
        try:
            heard = lesson(resonator)
        except InvalidRequest:
            # Such as vectors from before their size was changed.
            self.counts["unfit"] += 1
            return
        self.counts[counted if heard else "unheard"] += 1
        if resonator.rollbacks > rollbacks:
            self._announce(RolledBack(at, resonator.rollbacks, self._stability))

    def skip_to(self, mark: Mark) -> None:
        """Leave out everything up to `mark`: there is too much of it, or it cannot be read."""
        self.counts["skipped"] += max(0, mark.answered - self.mark.answered)
        self.mark = Mark(max(mark.answered, self.mark.answered), max(mark.scored, self.mark.scored))

    # -- what gateways and operators see ----------------------------------------------------

    def publication(self) -> Snapshot | None:
        """The present picture, None while there is no arm."""
        if self._resonator is None or self._roles is None:
            return None
        self._stability = self._resonator.stability().value
        snapshot, roles = self._resonator.publication(self._epoch), self._roles.publication(self._epoch)
        # Grows with each change of either.
        return replace(snapshot, version=snapshot.version + roles.version - 1, roles=roles)

    def state(self) -> dict[str, Any]:
        """What has been learned, for people: plain values only."""
        told: dict[str, Any] = {"epoch": self._epoch, "counts": dict(self.counts)}
        if self._resonator is None or self._roles is None:
            return told | {
                "version": 0,
                "arms": {},
                "roles": {},
                "mixes": {},
                "agents": {},
                "guard": None,
                "budget": None,
            }
        resonator, snapshot = self._resonator, self._resonator.publication(self._epoch)
        return told | {
            "version": snapshot.version,
            "arms": _arms(resonator, snapshot),
            "roles": _arms(self._roles, self._roles.publication(self._epoch)),
            "mixes": {
                task: dict(zip(snapshot.arms, mix, strict=True)) for task, mix in snapshot.tasks.items()
            },
            "agents": {task: dict(zip(AGENTS, mix, strict=True)) for task, mix in snapshot.agents.items()},
            "guard": self._guard(resonator, snapshot),
            "budget": self._budget(resonator, snapshot),
        }

    def _guard(self, resonator: Resonator, snapshot: Snapshot) -> dict[str, Any]:
        stability = resonator.stability()
        return {
            "state": snapshot.guard or "watching",
            "rolled_back": snapshot.guard == ROLLED_BACK,
            "stability": stability.value,
            "coherence": stability.coherence,
            "reward": stability.reward,
            "service": stability.service,
            "threshold": self._settings.guard_threshold,
            "rollbacks": resonator.rollbacks,
        }

    def _budget(self, resonator: Resonator, snapshot: Snapshot) -> dict[str, Any]:
        limited = math.isfinite(snapshot.allowance_usd)
        return {
            "usd_per_request": self._settings.budget_usd_per_request,
            "usd_weight": snapshot.usd_weight,
            "bank_usd": resonator.bank_usd if limited else None,
            "allowance_usd": snapshot.allowance_usd if limited else None,
            "requests": resonator.requests,
            "spent_usd": resonator.spent_usd,
        }

    # -- checkpoints ------------------------------------------------------------------------

    def checkpoint(self) -> tuple[Mark, dict[str, Any]] | None:
        """How far it has learned, and what; None while there is nothing. For `encoded`, in a thread."""
        if self._resonator is None or self._roles is None:
            return None
        return self.mark, {**self._resonator.state(), "roles": self._roles.state()}

    def resume(self, mark: Mark, state: bytes) -> None:
        """Go on from a checkpoint once the arms are known.

        Raises:
            ConfigError: It is damaged; nothing has changed.
        """
        self._kept = decoded(state)
        self.mark = mark

    def _take_over(self, resonator: Resonator, roles: Resonator) -> None:
        kept, self._kept = self._kept, None
        if kept is None:
            return
        try:
            misfits = resonator.restore(kept)
            if "roles" in kept:  # of a checkpoint from before there were any, there is nothing to take over
                misfits += roles.restore(kept["roles"])
        except ConfigError as error:
            log.warning("the router begins anew: %s", error)
            return
        if misfits:
            log.warning("the router begins anew with %s: their checkpoint does not fit", ", ".join(misfits))


def _learned(resonator: Resonator, feedback: Feedback) -> bool:
    resonator.learn(feedback)
    return True


def _arms(resonator: Resonator, snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """What is believed of each arm for the typical prompt."""
    x, tokens = resonator.typical()
    mixes = list(snapshot.tasks.values())
    return {
        view.name: {
            "quality": view.quality,
            "quality_low": view.quality_low,
            "quality_high": view.quality_high,
            "output_tokens": view.output_tokens,
            "latency_ms": view.latency_ms,
            "usd": view.usd,
            "share": view.propensity,
            "mix": sum(mix[place] for mix in mixes) / len(mixes),
            "outcomes": resonator.outcomes[place],
            "alarms": resonator.alarms[place],
        }
        for place, view in enumerate(snapshot.explain(x, input_tokens=tokens))
    }


def packed(checkpoint: tuple[Mark, dict[str, Any]]) -> tuple[Mark, bytes]:
    """A checkpoint as it goes to disk; takes a while, so not where others wait."""
    mark, state = checkpoint
    return mark, encoded(state)
