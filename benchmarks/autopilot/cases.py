"""What is tried: bugs, each with models that behave in one way, and what may come of it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.autopilot.bugs import Bug
from benchmarks.autopilot.scripted_model import CORRECT, FALSE

RIGHT = (*CORRECT, "malformed-then-right")
"""Behaviours whose answer is to be merged."""
WRONG = (*FALSE, "never")
"""Behaviours of which nothing may be merged."""
_WAITING = ("slow", "never")
"""Those that cost time and decide nothing by themselves: one bug in eight has to do."""
_WAITING_STEP = 8
EVERY = 4
"""Of the other behaviours each meets one bug in so many, if nobody says otherwise."""

BUGS = (
    Path(os.environ.get("ZORAN_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")
    / "repair" / "humanevalpack" / "python-64.jsonl"
)  # fmt: skip
"""Where the bugs are, if they are there."""


@dataclass(frozen=True, slots=True)
class Case:
    """One bug and one way to behave."""

    bug: Bug
    behaviour: str

    @property
    def name(self) -> str:
        """`right.sort_third_33`: also of its repository and its folder."""
        return f"{self.behaviour}.{self.bug.name}"

    @property
    def may_merge(self) -> bool:
        """Whether what the model says in the end is right, and no trick is in it."""
        return self.behaviour in RIGHT


def cases(bugs: Sequence[Bug], every: int = 1) -> list[Case]:
    """All that is tried.

    Args:
        every: Of the behaviours that must come to nothing, each meets one bug in so many, another one
            each: 1 for all.
    """
    found = []
    for number, behaviour in enumerate((*RIGHT, *WRONG)):
        step = every if behaviour in WRONG else 1
        if behaviour in _WAITING:
            step = max(step, _WAITING_STEP)
        found += [Case(bug, behaviour) for bug in bugs[number % step :: step] or bugs[:1]]
    return found
