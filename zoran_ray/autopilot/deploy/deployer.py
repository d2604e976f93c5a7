"""What the autopilot asks of a place to deploy to, and the values it answers with. Knows no such place."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Health(StrEnum):
    """How a release is doing."""

    PENDING = "pending"
    """It is on its way; look again."""
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Release:
    """Something that was deployed.

    Attributes:
        id: The place's own name for it: what `health` and a way back need.
        commit: What was deployed, as far as the place tells; empty where it does not.
        url: A page for people; empty if there is none.
    """

    id: str
    commit: str = ""
    url: str = ""


class Deployer(Protocol):
    """A place to deploy to. Each call blocks, and ends; not for a thread that runs an event loop.

    Every method raises:
        DeployRefused: The place does not take our token, or what is asked.
        ProviderBusy: Too many requests; `retry_after_s` says when to come again.
        Unreachable, DeadlineExceeded, UpstreamError: No answer, or none that can be read. Whether anything
            was done is not known: look it up.
    """

    @property
    def reversible(self) -> bool:
        """Whether it has both a health check and a way back."""
        ...

    def current(self) -> Release | None:
        """What runs there now; None where nothing does, or nobody can tell."""
        ...

    def find(self, commit: str, marker: str) -> Release | None:
        """The release that `deploy` made with these arguments, whatever became of it."""
        ...

    def deploy(self, commit: str, marker: str) -> Release:
        """Begins to deploy a commit.

        Args:
            marker: Unique to this act; what the place takes twice carries it.
        """
        ...

    def health(self, release: Release) -> Health:
        """How a release is doing now."""
        ...

    def roll_back(self, to: Release | None, marker: str) -> Release:
        """Begins to bring back what ran before.

        Args:
            to: What `current` said before the deployment; None where it said nothing.
            marker: As in `deploy`.
        """
        ...
