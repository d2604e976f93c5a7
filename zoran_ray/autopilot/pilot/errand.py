"""What a task's request says, read once more: whoever made the task may have been another version of us."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoran_ray.autopilot.git import checked_branch, checked_remote
from zoran_ray.autopilot.task import MOST_REPOSITORIES
from zoran_ray.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Errand:
    """What a task is to do.

    Attributes:
        message: What is wrong, in somebody's words.
        known: What else they had to say.
        repositories: Remote and branch, None for the remote's own, in the order of the request.
        deploy: Name of the place to deploy to; None for none.
    """

    message: str = field(repr=False)
    known: str = field(repr=False)
    repositories: tuple[tuple[str, str | None], ...]
    deploy: str | None


def errand_of(request: Mapping[str, Any]) -> Errand:
    """Raises: InvalidRequest: It is none."""
    try:
        rows = [(str(each["remote"]), each.get("branch")) for each in request["repositories"]]
        message, known, deploy = (
            str(request["message"]),
            str(request.get("known") or ""),
            request.get("deploy"),
        )
    except (KeyError, TypeError, AttributeError):
        raise InvalidRequest(
            "The task's request has no message and repositories. Begin a new one."
        ) from None
    if not 1 <= len(rows) <= MOST_REPOSITORIES or len({remote for remote, _ in rows}) != len(rows):
        raise InvalidRequest(f"A task has 1 to {MOST_REPOSITORIES} repositories, each once.")
    repositories = tuple(
        (checked_remote(remote), branch and checked_branch(str(branch))) for remote, branch in rows
    )
    return Errand(message, known, repositories, None if deploy is None else str(deploy))
