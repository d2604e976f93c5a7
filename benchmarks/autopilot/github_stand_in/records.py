"""What the stand-in remembers beside its repositories."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with or without a token.

    Attributes:
        type: `User`, or `Bot` for an app.
        association: With every repository: `MEMBER`, `NONE` …
    """

    id: int
    login: str
    type: str = "User"
    association: str = "MEMBER"


@dataclass(frozen=True, slots=True)
class Review:
    """What somebody thinks of a commit. State: APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED."""

    id: int
    user: User
    state: str
    commit: str


@dataclass(frozen=True, slots=True)
class Comment:
    """Something said below a pull request. Times are ISO 8601."""

    id: int
    user: User
    body: str
    at: str


@dataclass(frozen=True, slots=True)
class Status:
    """A commit's status. State: error, failure, pending, success."""

    id: int
    context: str
    state: str
    at: str


@dataclass(frozen=True, slots=True)
class CheckRun:
    """A check of a commit. Conclusion: None while its status is not `completed`."""

    id: int
    name: str
    status: str
    conclusion: str | None
    at: str


@dataclass(slots=True)
class Pull:
    """A pull request. The head's commit is kept here only once it is closed; before, it is the branch's."""

    number: int
    user: User
    title: str
    body: str | None
    head: str
    base: str
    base_commit: str
    at: str
    state: str = "open"
    closed_at: str | None = None
    head_commit: str | None = None
    merged_by: User | None = None
    merge_commit: str | None = None
    looked_at: tuple[str, str] | None = None
    """Head and base whose `mergeable` was asked for before."""
