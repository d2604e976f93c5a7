"""What must be so in the moment before a merge, whatever a policy says. Asks nobody."""

from collections.abc import Iterator
from dataclasses import dataclass

from zoran_ray.autopilot.forge.forge import PullRequest, PullState
from zoran_ray.errors import NotMergeable, ProviderBusy, PullRequestMoved


@dataclass(frozen=True, slots=True)
class Commits:
    """The commits that the tests ran on: the change, and the branch it is to go into."""

    head: str
    base: str


def same_head(pull: PullRequest, tested: Commits) -> bool:
    """Whether the head is the commit that was tested."""
    return pull.head_commit == tested.head


def same_base(pull: PullRequest, tested: Commits) -> bool:
    """Whether the base is the commit that the tests ran on."""
    return pull.base_commit == tested.base


def refuse_unmet(pull: PullRequest, tested: Commits) -> None:
    """Ends a merge that must not be.

    Raises:
        PullRequestMoved: Head or base is not what was tested.
        NotMergeable: It is not open, or cannot be merged.
        ProviderBusy: The forge does not know yet whether it can.
    """
    if moved := list(_moved(pull, tested)):
        raise PullRequestMoved(f"{' and '.join(moved)} moved after the tests: test again.")
    if pull.state is not PullState.OPEN:
        raise NotMergeable(f"The pull request is {pull.state}.")
    if pull.mergeable is None:
        raise ProviderBusy(
            "The forge does not know yet whether it can be merged. Try again.", retry_after_s=2.0
        )
    if not pull.mergeable:
        raise NotMergeable("Conflicts, or that it is a draft, keep it from being merged.")


def _moved(pull: PullRequest, tested: Commits) -> Iterator[str]:
    if not same_head(pull, tested):
        yield "the head"
    if not same_base(pull, tested):
        yield "the base"
