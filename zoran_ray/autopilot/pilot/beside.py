"""What stands beside a repository when it is tested: those of the task that it needs, as the task leaves
them. When one of them changes once more, what was shown with it is shown anew.
"""

from collections.abc import Sequence
from dataclasses import replace

from zoran_ray.autopilot.engineer import AttemptOutcome
from zoran_ray.autopilot.pilot.flight import Flight
from zoran_ray.autopilot.pilot.part import Part
from zoran_ray.autopilot.testing import Dependency, require_room
from zoran_ray.batch.threads import in_thread


async def dependencies(flight: Flight, part: Part) -> list[Dependency]:
    """What a repository's tests need, what stands nearest to it first.

    Raises:
        GitError: A commit cannot be read.
        InvalidRequest: It is too much for the sandbox.
    """
    room = (await flight.checkout(part)).engine.policy.sandbox
    found = list[Dependency]()
    for index in reversed(part.needs):
        found.append(await in_thread(_dependency, flight, flight.parts[index]))
        require_room((each.files for each in found), room)
    return found


def is_stale(parts: Sequence[Part], part: Part) -> bool:
    """Whether it was tested, if at all, with other commits than those that stand beside it now."""
    return part.merged is None and part.beside != _commits(parts, part)


def renewed(parts: Sequence[Part], part: Part) -> Part:
    """The same change, to be tested with what stands there now; whoever needed none is looked at again."""
    attempts = part.attempts
    if attempts and attempts[-1].commit:
        draft = replace(attempts[-1], outcome=AttemptOutcome.DRAFTED, reasons=(), evidence=None, said="")
        attempts = (*attempts[:-1], draft)
    # Others know what was pushed: from then on this change is tested, and no other is tried.
    again = part.round + (part.pushed is not None)
    return replace(part, beside=_commits(parts, part), attempts=attempts, ended="", round=again)


def _dependency(flight: Flight, part: Part) -> Dependency:
    repository, commit = flight.repository(part.remote), _commit(part)
    base = repository.tree(part.base).files
    return Dependency(base) if commit == part.base else Dependency(repository.tree(commit).files, base)


def _commits(parts: Sequence[Part], part: Part) -> tuple[str, ...]:
    return tuple(_commit(parts[index]) for index in part.needs)


def _commit(part: Part) -> str:
    """What the task leaves there."""
    if part.by_hand and part.merged is not None:
        return part.merged  # somebody worked on our branch
    return part.commit if part.change else part.base
