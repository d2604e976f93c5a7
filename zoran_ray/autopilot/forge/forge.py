"""What the autopilot asks of a forge, and the values it answers with. Knows no forge."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class PullState(StrEnum):
    """Where a pull request stands."""

    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"


class Check(StrEnum):
    """What a check says of a commit. One that was skipped or is neutral has not succeeded."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class MergeMethod(StrEnum):
    """How a pull request is merged."""

    MERGE = "merge"
    SQUASH = "squash"
    REBASE = "rebase"


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request, as it was when we looked.

    Attributes:
        url: Its page, for people.
        head: Branch that is to be merged; `head_commit` is where it stands.
        base: Branch that it is merged into; `base_commit` is where that branch stands now, not where it
            stood when the pull request was opened.
        mergeable: None while the forge does not know yet; ask again.
        merged_commit: What the merge made, once it is merged.
    """

    number: int
    url: str
    head: str
    base: str
    head_commit: str
    base_commit: str
    state: PullState
    mergeable: bool | None = None
    merged_commit: str | None = None


@dataclass(frozen=True, slots=True)
class Reviews:
    """What people with a say in the repository think of a pull request.

    Attributes:
        approved: Who approved exactly this head, by name.
        objected: Who asked for changes, of whatever head, and has not taken it back.
    """

    approved: tuple[str, ...] = ()
    objected: tuple[str, ...] = ()


class Forge(Protocol):
    """A place where pull requests are opened and merged. Each call blocks, and ends.

    Not for a thread that runs an event loop: ask in another one.

    Every method raises:
        ForgeRefused: Our token, or what is asked; a child where one says more.
        ProviderBusy: Too many requests; `retry_after_s` says when to come again.
        Unreachable, DeadlineExceeded, UpstreamError: No answer, or none that can be read. Whether anything
            was done is not known: look it up.
    """

    def open_pull_request(self, head: str, base: str, title: str, body: str) -> PullRequest:
        """A new pull request; the one that stands open between these branches if its body begins alike."""
        ...

    def find_pull_request(self, head: str, marker: str) -> PullRequest | None:
        """Our pull request from this branch whose body begins with `marker`, whatever its state."""
        ...

    def get(self, number: int) -> PullRequest:
        """A pull request as it is now."""
        ...

    def merge(self, number: int, expected_head: str, method: MergeMethod) -> str:
        """Merges a pull request whose head is still this commit.

        Returns:
            The commit that the merge made.

        Raises:
            PullRequestMoved: Its head, or its base in this moment, is another one.
            NotMergeable: Conflicts, or rules of the branch.
        """
        ...

    def checks(self, commit: str) -> Mapping[str, Check]:
        """What the checks say of a commit, by name."""
        ...

    def reviews(self, number: int, head_commit: str) -> Reviews:
        """What people say of a pull request with this head; we and other programs are no people."""
        ...

    def comment(self, number: int, text: str) -> str:
        """Says something below a pull request. Returns: The comment's page."""
        ...

    def find_comment(self, number: int, marker: str) -> str | None:
        """The page of our comment that begins with `marker`."""
        ...

    def close(self, number: int) -> PullRequest:
        """Closes a pull request that is not merged; one that is closed stays so."""
        ...
