"""What a task is, and which states may follow which. Knows no store, no model and no repository."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from zoran_ray.errors import InvalidRequest

MOST_REPOSITORIES = 8
"""Of one task."""


class Mode(StrEnum):
    """How far a task may go, the least first."""

    ADVISOR = "advisor"
    OPERATOR = "operator"
    AUTOPILOT = "autopilot"
    SOVEREIGN = "sovereign"

    @property
    def rank(self) -> int:
        """0 for the mode that may do least."""
        return list(Mode).index(self)


def lowest(*modes: Mode) -> Mode:
    """The one that may do least: what a request asks for is bounded by what the policy allows."""
    return min(modes, key=lambda mode: mode.rank)


class State(StrEnum):
    """Where a task stands: what has been done, not what is being tried."""

    RECEIVED = "received"
    PLANNED = "planned"
    EDITED = "edited"
    TESTED = "tested"
    PUSHED = "pushed"
    PR_OPEN = "pr_open"
    GATED = "gated"
    MERGED = "merged"
    DEPLOYED = "deployed"
    HEALTHY = "healthy"
    AWAITING_HUMAN = "awaiting_human"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"


PATH = (
    State.RECEIVED,
    State.PLANNED,
    State.EDITED,
    State.TESTED,
    State.PUSHED,
    State.PR_OPEN,
    State.GATED,
    State.MERGED,
    State.DEPLOYED,
    State.HEALTHY,
)
"""The way of a task that meets no trouble."""

GOALS: Mapping[Mode, State] = {
    Mode.ADVISOR: State.EDITED,
    Mode.OPERATOR: State.PUSHED,
    Mode.AUTOPILOT: State.PR_OPEN,
    Mode.SOVEREIGN: State.HEALTHY,
}
"""Where a task of a mode ends. One of `sovereign` without a place to deploy to ends when it is merged."""

ENDED = frozenset({State.HEALTHY, State.FAILED, State.CANCELLED, State.ROLLED_BACK})
RESUMABLE = frozenset({State.AWAITING_HUMAN, State.FAILED})
"""From these a person may send a task back to where it stood before."""

_STEPS = {here: {there} for here, there in itertools.pairwise(PATH)}
_STEPS[State.MERGED] |= {State.ROLLING_BACK}
_STEPS[State.DEPLOYED] |= {State.ROLLING_BACK}
_STEPS[State.ROLLING_BACK] = {State.ROLLED_BACK}
# A tried edit whose tests fail is planned anew; a base that moved is tested anew.
_STEPS[State.EDITED] |= {State.PLANNED}
_STEPS[State.TESTED] |= {State.PLANNED, State.EDITED}
_STEPS[State.PR_OPEN] |= {State.EDITED}
_STEPS[State.GATED] |= {State.EDITED}
_ASIDE = frozenset({State.AWAITING_HUMAN, State.FAILED, State.CANCELLED})


def may_follow(here: State, there: State) -> bool:
    """Whether a worker may move a task so. `awaiting_human` and `failed` are left by `resume` alone."""
    if here in ENDED or here is State.AWAITING_HUMAN:
        return False
    if here in (State.MERGED, State.DEPLOYED, State.ROLLING_BACK) and there is State.CANCELLED:
        return False  # what the world has seen is rolled back, not forgotten
    return there in _ASIDE or there in _STEPS.get(here, ())


@dataclass(frozen=True, slots=True)
class Task:
    """One thing that is to be put right.

    Attributes:
        id: `task_` and 24 hexadecimal digits.
        owner: The tenant whose key began it.
        thread: The conversation it belongs to.
        mode: How far it may go.
        goal: The state in which it ends well.
        state: Where it stands.
        before: Where it stood before it was set aside (`awaiting_human`, `failed`), else None.
        request: What was asked, as JSON: message, repositories, models.
        facts: What is known of it by now, as JSON; a move adds to it.
        created: Unix time in seconds; `updated` likewise.
        fence: Number of the last lease. Whoever holds an older one writes nothing more.
        cancelling: Somebody asked for its end; its worker ends it at the next step.
    """

    id: str
    owner: str
    thread: str
    mode: Mode
    goal: State
    state: State
    before: State | None
    request: Mapping[str, Any] = field(repr=False)
    facts: Mapping[str, Any] = field(repr=False)
    created: float
    updated: float
    fence: int
    cancelling: bool

    @property
    def finished(self) -> bool:
        """Whether no worker will touch it again by itself."""
        return self.state in ENDED or self.state is self.goal


def mode_of(name: str) -> Mode:
    """Raises: InvalidRequest: There is no such mode."""
    try:
        return Mode(name)
    except ValueError:
        raise InvalidRequest(f"'mode' must be one of {', '.join(Mode)}.", param="mode") from None
