"""Why a task is set aside instead of going on. Knows no task."""

from typing import Any, Literal

What = Literal["paths", "merge", "deploy", "base"]


class Aside(Exception):
    """Root: where a stage ends that cannot go on."""


class AwaitsPerson(Aside):
    """A person has to look.

    Args:
        what: What they would allow: one of `What`, or `action:` and its name.
        why: For people; no secret, no text of a model.
        commit: What alone an approval holds for; None where nothing can be approved.
    """

    def __init__(self, what: What | str, why: str, commit: str | None) -> None:
        super().__init__(why)
        self.facts: dict[str, Any] = {"what": what, "why": why, "commit": commit}


class GaveUp(Aside):
    """The task has failed; it may be resumed. Args: code: Short, for programs; why: For people."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.facts: dict[str, Any] = {"code": code, "why": why}
