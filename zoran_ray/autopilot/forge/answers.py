"""GitHub's answers, as far as we read them. What is not as described is an error that quotes nothing.

Source: https://github.com/github/rest-api-description (`pull-request`, `pull-request-review`, `git-ref`,
`combined-commit-status`, `check-run`, `issue-comment`, `pull-request-merge-result`).
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from zoran_ray.autopilot.forge.forge import Check
from zoran_ray.errors import UpstreamError

Sha = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Page = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=1000)]
Text = Annotated[str, StringConstraints(max_length=1000)]

A = TypeVar("A", bound="Answered")

_STATES = {"success": Check.SUCCEEDED, "pending": Check.PENDING}


class Answered(BaseModel):
    """A part of an answer; what we do not know in it is passed over."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)


class User(Answered):
    id: int
    login: Text
    type: Text


class Repository(Answered):
    full_name: Text


class Side(Answered):
    """Head or base of a pull request."""

    ref: Text
    sha: Sha
    repo: Repository | None = None
    """None where it is gone: a fork that was deleted."""


class Pull(Answered):
    number: int
    html_url: Page
    state: Literal["open", "closed"]
    merged_at: Text | None = None
    merge_commit_sha: Sha | None = None
    mergeable: bool | None = None
    draft: bool = False
    body: str | None = None
    user: User | None = None
    head: Side
    base: Side


class Review(Answered):
    user: User | None = None
    state: Text
    commit_id: Sha | None = None
    author_association: Text


class Comment(Answered):
    html_url: Page
    body: str = ""
    user: User | None = None


class Object(Answered):
    sha: Sha


class Ref(Answered):
    ref: Text
    object: Object


class Merged(Answered):
    merged: Literal[True]
    sha: Sha


class Status(Answered):
    context: Text
    state: Text

    @property
    def check(self) -> Check:
        """`error` and `failure` are failures, as is what we do not know."""
        return _STATES.get(self.state, Check.FAILED)


class Statuses(Answered):
    statuses: list[Status]


class CheckRun(Answered):
    name: Text
    status: Text
    conclusion: Text | None = None

    @property
    def check(self) -> Check:
        """Only `success` is a success; GitHub itself lets `neutral` and `skipped` pass."""
        if self.status != "completed":
            return Check.PENDING
        return Check.SUCCEEDED if self.conclusion == "success" else Check.FAILED


class CheckRuns(Answered):
    check_runs: list[CheckRun]


def read(kind: type[A], data: Any) -> A:
    """An answer. Raises: UpstreamError: It is none of this kind."""
    try:
        return kind.model_validate(data)
    except (ValidationError, RecursionError):
        raise UpstreamError(f"The forge's answer is no {kind.__name__} as GitHub describes it.") from None


def read_all(kind: type[A], data: Any) -> list[A]:
    """A list of answers. Raises: UpstreamError: It is none of this kind."""
    if not isinstance(data, list):
        raise UpstreamError(f"The forge's answer is no list of {kind.__name__} as GitHub describes it.")
    return [read(kind, each) for each in data]
