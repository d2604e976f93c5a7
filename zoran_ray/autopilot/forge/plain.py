"""A remote that has branches and nothing more. Every question about pull requests has the same answer."""

from collections.abc import Mapping
from typing import NoReturn

from zoran_ray.autopilot.forge.forge import Check, MergeMethod, PullRequest, Reviews
from zoran_ray.errors import NoPullRequests


class PlainRemote:
    """A forge without pull requests.

    Args:
        reason: Why there are none, a sentence for people.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def open_pull_request(self, head: str, base: str, title: str, body: str) -> PullRequest:
        """Raises: NoPullRequests."""
        self._refuse()

    def find_pull_request(self, head: str, marker: str) -> PullRequest | None:
        """Raises: NoPullRequests."""
        self._refuse()

    def get(self, number: int) -> PullRequest:
        """Raises: NoPullRequests."""
        self._refuse()

    def merge(self, number: int, expected_head: str, method: MergeMethod) -> str:
        """Raises: NoPullRequests."""
        self._refuse()

    def checks(self, commit: str) -> Mapping[str, Check]:
        """Raises: NoPullRequests."""
        self._refuse()

    def reviews(self, number: int, head_commit: str) -> Reviews:
        """Raises: NoPullRequests."""
        self._refuse()

    def comment(self, number: int, text: str) -> str:
        """Raises: NoPullRequests."""
        self._refuse()

    def find_comment(self, number: int, marker: str) -> str | None:
        """Raises: NoPullRequests."""
        self._refuse()

    def close(self, number: int) -> PullRequest:
        """Raises: NoPullRequests."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NoPullRequests(
            f"{self._reason} Operator mode is as far as a task gets here: its branch is pushed and tested;"
            " merge it by hand."
        )
