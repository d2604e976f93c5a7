"""What a task knows of one of its repositories, and how that is written down. Does nothing."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from zoran_ray.autopilot.confidence import confidence
from zoran_ray.autopilot.engineer import (
    Attempt,
    AttemptOutcome,
    Plan,
    attempt_facts,
    attempt_of,
    change_facts,
    plan_facts,
    plan_of,
)
from zoran_ray.autopilot.task import Mode, State, Task

UNTOUCHED = "untouched"
"""How the work on a repository ended in which no test fails: nothing is changed there."""


@dataclass(frozen=True, slots=True)
class Part:
    """One repository's share in a task.

    Attributes:
        index: Its place among them, from 0.
        remote: Its address; `branch` is where the change is to go.
        base: The commit that the change is made for and tested on.
        policy: SHA-256 of the policy that holds for it.
        plan: What the model means to do.
        attempts: Tries, in their order.
        ended: How the engineer's work ended, as `Work.ended`; `untouched`; empty while it goes on.
        round: How many bases it was worked on for, from 1.
        pushed: Where our branch of the remote stands.
        number: Of the pull request; `url` is its page.
        merged: The commit of the merge.
        by_hand: Whether a person merged it.
        needs: Indices of earlier ones that it needs, also by way of others.
        beside: The commits of these that its tests were run with.
    """

    index: int
    remote: str
    branch: str
    base: str
    policy: str = ""
    plan: Plan | None = None
    attempts: tuple[Attempt, ...] = field(default=(), repr=False)
    ended: str = ""
    round: int = 1
    pushed: str | None = None
    number: int | None = None
    url: str = ""
    merged: str | None = None
    by_hand: bool = False
    needs: tuple[int, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def change(self) -> Attempt | None:
        """The try that the task is about: the last one that has a commit."""
        made = [each for each in self.attempts if each.commit]
        return made[-1] if made and self.ended != UNTOUCHED else None

    @property
    def commit(self) -> str:
        """Of the change. Only for parts that have one."""
        assert self.change is not None
        assert self.change.commit is not None
        return self.change.commit

    @property
    def confidence(self) -> float | None:
        """In the change, 0..1; None where there is none, or somebody else's was merged."""
        return None if self.change is None or self.by_hand else confidence(change_facts(self.change))

    @property
    def proven(self) -> bool:
        """Whether its last try is proven."""
        return bool(self.attempts) and self.attempts[-1].outcome is AttemptOutcome.PROVEN

    @property
    def standing(self) -> State:
        """How far it has come: what is drafted is edited, what is proven is tested."""
        if self.ended == UNTOUCHED or self.proven:
            return State.TESTED
        if self.plan is None:
            return State.RECEIVED
        last = self.attempts[-1].outcome if self.attempts else None
        return State.EDITED if last is AttemptOutcome.DRAFTED else State.PLANNED

    def settled(self, mode: Mode) -> bool:
        """Whether the engineer has nothing more to do here."""
        return self.standing is State.TESTED or (mode is Mode.ADVISOR and bool(self.ended))

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {
            "plan": self.plan and plan_facts(self.plan),
            "attempts": [attempt_facts(each) for each in self.attempts],
            "commit": self.change.commit if self.change else None,
            "confidence": self.confidence,
        }

    def told(self) -> dict[str, Any]:
        """What watchers and the journal hear of it: names and commits, no text of anybody."""
        names = ("remote", "base", "policy", "pushed", "number", "merged")
        return {name: value for name, value in self.facts().items() if name in (*names, "commit")}


def part_of(facts: Mapping[str, Any]) -> Part:
    """The part of `Part.facts`, also after it went through JSON."""
    known = {name: value for name, value in facts.items() if name not in ("commit", "confidence")}
    known["plan"] = facts["plan"] and plan_of(facts["plan"])
    known["attempts"] = tuple(attempt_of(each) for each in facts["attempts"])
    for name in ("needs", "beside"):
        known[name] = tuple(facts.get(name, ()))
    return Part(**known)


def parts_of(task: Task) -> tuple[Part, ...]:
    """All parts that a task knows of by now."""
    return tuple(part_of(each) for each in task.facts.get("repositories", ()))


def diff_of(task: Task) -> str:
    """The unified diff of a task's change, as far as there is one; of several repositories one after the
    other, each below a line with its address."""
    parts = parts_of(task)
    found = [(part.remote, part.change.diff) for part in parts if part.change and part.change.diff]
    if len(parts) < 2:
        return "".join(diff for _, diff in found)
    return "".join(f"# {remote}\n{diff}" for remote, diff in found)
