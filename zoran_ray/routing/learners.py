"""The learners of all arms side by side, with what they believe in one array, as decisions need it.

Arms come and go by name. Knows nothing of budgets, mixes or who says what.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import ConfigError
from zoran_ray.routing.drift import PageHinkley
from zoran_ray.routing.feedback import HEADS, LATENCY, QUALITY, TOKENS, Arm, Outcome, Prior
from zoran_ray.routing.learner import ArmLearner
from zoran_ray.routing.prices import PriceList

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

ShareOf = Callable[[Vector], float]
"""Given a step of the weights of the expected score, says how much of it (0..1) may be made."""

_MOST_AWAY = 32
"""Arms that are gone and not forgotten yet."""
_REST_EVERY = 8
"""Outcomes after which arms are told that time has passed."""


class Learners:
    """One learner for each arm.

    Attributes:
        arms: K of them.
        weights: float64[3 + S, K, size], what the learners believe. Read-only.
        residual_var: float64[3, K]. Read-only.
        prices: Of the arms.
        alarms: How often each arm seemed to have changed.

    Args:
        arms: At least one, names distinct, all with as many members.
        size: Entries of a prompt's vector.
        rng: For the ensembles.

    Raises:
        ConfigError: The arms are none, or not distinct.
    """

    def __init__(self, arms: Sequence[Arm], size: int, rng: np.random.Generator) -> None:
        _check(arms)
        self._size = size
        self._rng = rng
        self.arms = tuple(arms)
        self.prices = PriceList.of([arm.price for arm in arms])
        self.alarms = [0] * len(arms)
        self._learners = [ArmLearner(size, arm.prior, rng) for arm in arms]
        self._drift = [_detectors() for _ in arms]
        self._since_rest = 0
        self._away: dict[str, dict[str, Any]] = {}
        self._gather()

    def __len__(self) -> int:
        return len(self.arms)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the arms, in their order."""
        return tuple(arm.name for arm in self.arms)

    @property
    def outcomes(self) -> tuple[int, ...]:
        """How many outcomes each arm has learned from."""
        return tuple(learner.outcomes for learner in self._learners)

    def learn(self, place: int, x: Vector, outcome: Outcome, share_of: ShareOf | None = None) -> bool:
        """Teach one arm.

        Args:
            share_of: Bounds how far the outcome may move the expected score; None: it is not bounded.

        Returns:
            Whether the arm's scores seem to have changed.
        """
        learner = self._learners[place]
        bounded = share_of is not None and outcome.quality is not None
        before = learner.weights[QUALITY:].copy() if bounded else None
        off, share = learner.learn(x, outcome), 1.0
        if before is not None and share_of is not None:
            share = share_of(learner.weights[QUALITY] - before[0])
            if share < 1.0:
                learner.weights[QUALITY:] = before + share * (learner.weights[QUALITY:] - before)
                learner.keep_only(share)
        # What does not count does not sound an alarm either.
        off[QUALITY] *= outcome.weight * share
        changed = self._notice_change(place, off)
        self.weights[:, place] = learner.weights
        self.residual_var[:, place] = learner.residual_var
        self._rest()
        return changed

    def _notice_change(self, place: int, off: list[float]) -> bool:
        learner = self._learners[place]
        var = learner.residual_var.tolist()
        changed = [
            head
            for head, watch in enumerate(self._drift[place])
            if off[head] and watch.changed(off[head], math.sqrt(var[head]))
        ]
        if not changed:
            return False
        self.alarms[place] += 1
        if TOKENS in changed or LATENCY in changed:
            learner.soften_service()
        if QUALITY in changed:
            learner.soften()
        return QUALITY in changed

    def _rest(self) -> None:
        self._since_rest += 1
        if self._since_rest >= _REST_EVERY:
            for place, learner in enumerate(self._learners):
                if learner.rest(self._since_rest):
                    self.weights[:, place, 0] = learner.weights[:, 0]
            self._since_rest = 0

    # -- other arms -------------------------------------------------------------------------

    def replace(self, arms: Sequence[Arm]) -> list[int | None]:
        """Other arms from now on: those whose names stay keep what they know, whatever they cost now.

        What those that go have learned is put away, in case they come back, as models do that are loaded
        one after the other.

        Returns:
            For each arm its former place, None for a new one.

        Raises:
            ConfigError: As the constructor; nothing has changed.
        """
        _check(arms, self._learners[0].prior.members)
        before = {name: place for place, name in enumerate(self.names)}
        origins = [before.get(arm.name) for arm in arms]
        for name, place in before.items():
            if place not in origins:
                self._put_away(name, self._learners[place].state())
        self._learners = [
            self._back(arm) if origin is None else self._learners[origin]
            for arm, origin in zip(arms, origins, strict=True)
        ]
        self._drift = [_detectors() if origin is None else self._drift[origin] for origin in origins]
        self.alarms = [0 if origin is None else self.alarms[origin] for origin in origins]
        self.arms, self.prices = tuple(arms), PriceList.of([arm.price for arm in arms])
        self._gather()
        return origins

    def _put_away(self, name: str, state: dict[str, Any]) -> None:
        self._away[name] = state
        while len(self._away) > _MOST_AWAY:
            del self._away[next(iter(self._away))]

    def _back(self, arm: Arm) -> ArmLearner:
        """A learner for an arm that is new, or is here again."""
        learner = ArmLearner(self._size, self._expected(arm.prior), self._rng)
        state = self._away.pop(arm.name, None)
        if state is not None:
            with suppress(ConfigError):  # it is of another size or version: begin anew
                learner.restore(state)
        return learner

    def _expected(self, prior: Prior) -> Prior:
        """A new arm is expected to be as good as the average of those that are known."""
        known = [learner.weights[QUALITY, 0] for learner in self._learners if learner.outcomes]
        if prior.quality is not None or not known:
            return prior
        return dataclasses.replace(prior, quality=min(1.0, max(0.0, float(np.mean(known)))))

    # -- going back, and on -----------------------------------------------------------------

    def state(self) -> dict[str, dict[str, Any]]:
        """What each arm has learned, by name; also of those that are away."""
        return dict(self._away) | {
            name: learner.state() for name, learner in zip(self.names, self._learners, strict=True)
        }

    def restore(self, state: Mapping[str, dict[str, Any]]) -> tuple[str, ...]:
        """Go on from `state`; arms that it does not know stay as they are.

        Returns:
            Names of those whose part did not fit and that begin anew.
        """
        misfits = []
        for name, learned in state.items():
            self._put_away(name, learned)
            if name in self.names:
                place = self.names.index(name)
                self._learners[place] = self._back(self.arms[place])
                if self._learners[place].outcomes != int(learned["outcomes"]):
                    misfits.append(name)
        self._gather()
        return tuple(misfits)

    def _gather(self) -> None:
        self.weights: Matrix = np.stack([learner.weights for learner in self._learners], axis=1)
        self.residual_var: Matrix = np.stack([learner.residual_var for learner in self._learners], axis=1)


def _detectors() -> tuple[PageHinkley, ...]:
    """What watches one arm for changes: one for each head."""
    return tuple(PageHinkley() for _ in HEADS)


def _check(arms: Sequence[Arm], members: int | None = None) -> None:
    if not arms or len({arm.name for arm in arms}) != len(arms):
        raise ConfigError("routing needs at least one arm, each with a name of its own")
    if len({arm.prior.members for arm in arms} | ({members} if members else set())) != 1:
        raise ConfigError("routing needs priors with as many members for every arm")
