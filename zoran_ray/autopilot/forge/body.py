"""What a pull request of ours says. Plan and names come from models and repositories; the rest is ours."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from zoran_ray.autopilot.forge.prose import fenced, in_code, one_line
from zoran_ray.autopilot.testing import Evidence
from zoran_ray.errors import InvalidRequest

MOST_TITLE_CHARS = 200
MOST_PLAN_CHARS = 16_000
MOST_NAMES = 20
MOST_NAME_CHARS = 160
MOST_RELATED = 16
MOST_BODY_CHARS = 60_000
"""GitHub takes 65,536. The limits above keep every body below this one."""

_TASK = re.compile(r"task_[0-9a-f]{24}")
_PURPOSE = re.compile(r"[a-z0-9-]{1,32}")
_URL = re.compile(r"https?://[\w.\-:\[\]]+(?:/[\w.\-~]+)*", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{1,128}")
_FOUND = (
    ("Failed before, pass now", "fixed"),
    ("Fail as before", "still_failing"),
    ("Passed before, do not now", "worse"),
    ("Did not run", "missing"),
    ("Ended differently in two runs", "flaky"),
)


@dataclass(frozen=True, slots=True)
class Account:
    """What a task can say for its change.

    Attributes:
        task: Its id.
        plan: In the words of a model.
        evidence: Of the tests; None where nothing was tested, as of a revert.
        confidence: 0..1; None where it could not be computed.
        journal_root: Hexadecimal digits of the journal's root that covers the task so far; None where
            nobody knows it.
        related: Pages of pull requests in other repositories that go with this one, in order.
    """

    task: str
    plan: str
    evidence: Evidence | None
    confidence: float | None
    journal_root: str | None
    related: Sequence[str] = ()


def marker(task: str, purpose: str = "change") -> str:
    """The first line of what we write, hidden from people, by which we find it again.

    Args:
        purpose: Tells apart what one task writes: `change`, `revert`, `tests-2`.

    Raises:
        InvalidRequest: These are none.
    """
    if not _TASK.fullmatch(task) or not _PURPOSE.fullmatch(purpose):
        raise InvalidRequest("A marker has a task's id and a purpose in small letters.")
    return f"<!-- zoran {task} {purpose} -->"


def pull_request_title(text: str) -> str:
    """A title of a pull request, in a model's words."""
    return one_line(text, MOST_TITLE_CHARS) or "Mend what the task describes"


def pull_request_body(account: Account, purpose: str = "change") -> str:
    """The text of a pull request.

    Raises:
        InvalidRequest: A field is not what it must be.
    """
    parts = [
        marker(account.task, purpose),
        f"Written by a program, for task `{account.task}`. Review it as you would any other.",
        "## Plan",
        fenced(account.plan or "(none)", MOST_PLAN_CHARS),
        "## Tests",
        *_tested(account.evidence),
        "## Confidence",
        _confidence(account.confidence),
        "## Journal",
        f"Root `{_checked(_HEX, account.journal_root)}`."
        if account.journal_root is not None
        else "Its root is not known.",
    ]
    if account.related:
        parts += ["## Goes with", _related(account.related)]
    return "\n\n".join(parts) + "\n"


def note(task: str, purpose: str, text: str) -> str:
    """A comment of ours. Args: text: Our own words. Raises: InvalidRequest."""
    return f"{marker(task, purpose)}\n\n{text}\n"


def _tested(evidence: Evidence | None) -> list[str]:
    if evidence is None:
        return ["Not tested."]
    verdict = "They show that it works." if evidence.holds else "They do not show that it works."
    parts = [f"The base's own tests, run in a sandbox before and twice after the change. {verdict}"]
    parts += [
        _names(words, getattr(evidence, field)) for words, field in _FOUND if getattr(evidence, field)
    ]
    if evidence.reasons:
        parts.append(_names("Against it", evidence.reasons))
    return parts


def _names(words: str, names: Sequence[str]) -> str:
    lines = [f"- {in_code(name, MOST_NAME_CHARS)}" for name in names[:MOST_NAMES]]
    more = [f"- and {len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else []
    return "\n".join([f"{words} ({len(names)}):", "", *lines, *more])


def _confidence(known: float | None) -> str:
    if known is None:
        return "It could not be computed."
    if not 0 <= known <= 1:
        raise InvalidRequest("A confidence lies between 0 and 1.")
    return f"{known:.3f}, computed from facts about the change and its tests."


def _related(pages: Sequence[str]) -> str:
    if len(pages) > MOST_RELATED:
        raise InvalidRequest(f"At most {MOST_RELATED} pull requests go together.")
    return "\n".join(f"{number}. <{_checked(_URL, page)}>" for number, page in enumerate(pages, 1))


def _checked(kind: re.Pattern[str], text: str) -> str:
    if len(text) > 1000 or not kind.fullmatch(text):
        raise InvalidRequest("A pull request's text holds a root or an address that is none.")
    return text
