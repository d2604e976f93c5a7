"""What an engineer is given and what it makes: plain values, as a task's facts hold them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from zoran_ray.autopilot.confidence import ChangeFacts
from zoran_ray.autopilot.git import Author
from zoran_ray.autopilot.testing import Evidence
from zoran_ray.reasoning.completion import NOTHING_USED, Used


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be put right in one repository.

    Attributes:
        message: What somebody says is wrong. Untrusted.
        base: The commit to start from, which is in our copy.
        author: Whose commits are made.
        at: Their Unix time in seconds; the same job makes the same commits.
        footer: Last line of their messages, such as the task's id.
        known: What memory and conversation have to say. Untrusted.
        tests_needed: Whether work without a sandbox is none. Advice can do without.
    """

    message: str = field(repr=False)
    base: str
    author: Author
    at: int
    footer: str = ""
    known: str = field(default="", repr=False)
    tests_needed: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What the model means to do.

    Attributes:
        text: In its words, without secrets.
        files: Files that it named and that are there.
    """

    text: str
    files: tuple[str, ...]

    @property
    def title(self) -> str:
        """One plain line for a commit."""
        plain = "".join(c if c.isprintable() or c == "\n" else " " for c in self.text)
        lines = (" ".join(line.split()).strip("#*-` ") for line in plain.split("\n")[:20])
        line = next(filter(None, lines), "Mend what the task says")
        return line if len(line) <= 72 else f"{line[:71].rstrip()}…"


class AttemptOutcome(StrEnum):
    """How far a try came."""

    UNREADABLE = "unreadable"
    """The answer's edits could not be read or applied."""
    REFUSED = "refused"
    """The policy forbids them."""
    DRAFTED = "drafted"
    """There is a commit; nothing was tested."""
    FAILED = "failed"
    """The tests do not show that it mends something and breaks nothing."""
    PROVEN = "proven"
    """They do."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try.

    Attributes:
        number: From 1.
        outcome: How far it came.
        reasons: Why no further, for people and for the model; without secrets.
        changed: Paths of the files that change.
        asks: What a person has to see first, as the policy says it.
        added: Lines that come; `removed`: lines that go.
        commit: In our copy; None where there is none. The diff is the policy's to allow: one that it
            forbids is not kept.
        diff: The unified diff.
        evidence: What the tests show; None where none ran.
        said: The end of what failing tests wrote, without secrets.
        answer: What the model said; not part of the facts.
    """

    number: int
    outcome: AttemptOutcome
    reasons: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    added: int = 0
    removed: int = 0
    commit: str | None = None
    diff: str = field(default="", repr=False)
    evidence: Evidence | None = None
    said: str = field(default="", repr=False)
    answer: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Work:
    """What came of a job.

    Attributes:
        ended: `proven`; `drafted` where nothing could be tested; `tries`; `unprovable` where the base's own
            tests do not run or none fails; `deadline`; or `budget:` and what was spent.
        plan: None where it did not come to one.
        attempts: All tries, in their order.
        untested: Why no tests ran; empty if they did.
        used: Calls, tokens and money.
    """

    ended: str
    plan: Plan | None
    attempts: tuple[Attempt, ...]
    untested: str = ""
    used: Used = NOTHING_USED

    @property
    def best(self) -> Attempt | None:
        """The try that is worth something: proven, or drafted where nothing could be tested."""
        good = [
            each
            for each in self.attempts
            if each.outcome in (AttemptOutcome.PROVEN, AttemptOutcome.DRAFTED)
        ]
        return good[-1] if good else None


def plan_facts(plan: Plan) -> dict[str, Any]:
    """A plan as JSON."""
    return asdict(plan)


def plan_of(facts: Mapping[str, Any]) -> Plan:
    """The plan of `plan_facts`."""
    return Plan(facts["text"], tuple(facts["files"]))


def attempt_facts(attempt: Attempt) -> dict[str, Any]:
    """A try as JSON, without the model's answer."""
    return {name: value for name, value in asdict(attempt).items() if name != "answer"}


def attempt_of(facts: Mapping[str, Any]) -> Attempt:
    """The try of `attempt_facts`, also after it went through JSON."""
    known = _with_tuples(facts)
    if (evidence := facts["evidence"]) is not None:
        known["evidence"] = Evidence(**_with_tuples(evidence))
    known["outcome"] = AttemptOutcome(facts["outcome"])
    return Attempt(**known)


def _with_tuples(facts: Mapping[str, Any]) -> dict[str, Any]:
    """As they were before JSON made lists of tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}


def change_facts(attempt: Attempt) -> ChangeFacts:
    """What confidence in a try stands on."""
    evidence = attempt.evidence or Evidence(reasons=("Nothing was tested.",))
    return ChangeFacts(
        evidence.holds, attempt.added + attempt.removed, len(attempt.changed), len(attempt.asks),
        attempt.number, len(evidence.still_failing), len(evidence.flaky), evidence.coverage,
    )  # fmt: skip
