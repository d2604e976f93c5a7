"""Repositories and users of the stand-in, and what people do there. Knows no HTTP."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.autopilot.github_stand_in.bare import Bare
from benchmarks.autopilot.github_stand_in.records import CheckRun, Comment, Pull, Review, Status, User


def now() -> str:
    """ISO 8601, as GitHub writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Hosted:
    """One repository and its pull requests.

    Attributes:
        git: The bare repository.
        strict: Whether a head must have its base below it to be merged ("up to date").
    """

    def __init__(self, folder: Path, full_name: str, numbers: Iterator[int]) -> None:
        self.full_name = full_name
        self.git = Bare(folder)
        self.strict = False
        self.made_at = now()
        self.pulls: dict[int, Pull] = {}
        self.reviews: dict[int, list[Review]] = defaultdict(list)
        self.comments: dict[int, list[Comment]] = defaultdict(list)
        self.statuses: dict[str, list[Status]] = defaultdict(list)
        self.check_runs: dict[str, list[CheckRun]] = defaultdict(list)
        self._ids = numbers

    def open(self, user: User, head: str, base: str, title: str, body: str | None) -> Pull:
        """A new pull request between branches that are there."""
        commit = self.git.commit_of(base)
        assert commit is not None
        pull = Pull(len(self.pulls) + 1, user, title, body, head, base, commit, now())
        self.pulls[pull.number] = pull
        return pull

    def head_commit(self, pull: Pull) -> str:
        """Where the head of a pull request stands, or stood when it was closed."""
        return pull.head_commit or self.git.commit_of(pull.head) or "0" * 40

    def close(self, pull: Pull) -> None:
        """Closes it where it stands."""
        pull.head_commit, pull.state, pull.closed_at = self.head_commit(pull), "closed", now()

    def merged(self, pull: Pull, user: User, commit: str) -> None:
        """It is merged by this commit."""
        self.close(pull)
        pull.merge_commit, pull.merged_by = commit, user

    def review(self, number: int, user: User, state: str = "APPROVED", commit: str | None = None) -> Review:
        """Somebody reviews a pull request. Args: commit: None for its head."""
        review = Review(next(self._ids), user, state, commit or self.head_commit(self.pulls[number]))
        self.reviews[number].append(review)
        return review

    def comment(self, number: int, user: User, body: str) -> Comment:
        """Somebody says something."""
        comment = Comment(next(self._ids), user, body, now())
        self.comments[number].append(comment)
        return comment

    def status(self, commit: str, context: str, state: str) -> None:
        """Somebody's status of a commit; the last of a context counts."""
        kept = [each for each in self.statuses[commit] if each.context != context]
        self.statuses[commit] = [*kept, Status(next(self._ids), context, state, now())]

    def check(self, commit: str, name: str, conclusion: str | None) -> None:
        """An app's check of a commit. Args: conclusion: None while it runs."""
        status = "completed" if conclusion else "in_progress"
        self.check_runs[commit].append(CheckRun(next(self._ids), name, status, conclusion, now()))


class Hub:
    """Everything there is. Args: folder: Of the bare repositories."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repositories: dict[str, Hosted] = {}
        self.tokens: dict[str, User] = {}
        self._ids = itertools.count(1000)

    def add_repository(self, full_name: str) -> Hosted:
        """An empty repository."""
        made = Hosted(self.folder / f"{full_name}.git", full_name, self._ids)
        self.repositories[full_name.lower()] = made
        return made

    def add_user(
        self, login: str, *, token: str | None = None, kind: str = "User", association: str = "MEMBER"
    ) -> User:
        """Somebody. Args: token: Opens everything here; None: for people who only review."""
        user = User(next(self._ids), login, kind, association)
        if token is not None:
            self.tokens[token] = user
        return user
