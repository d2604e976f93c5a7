"""Merges what passed the gates, and looks afterwards what it was merged into: gated to merged."""

from dataclasses import replace

from zoran_ray.autopilot.forge import Commits, merge_once
from zoran_ray.autopilot.pilot.asides import AwaitsPerson
from zoran_ray.autopilot.pilot.flight import Flight
from zoran_ray.autopilot.pilot.gate import clear
from zoran_ray.autopilot.pilot.part import Part
from zoran_ray.autopilot.task import State
from zoran_ray.batch.threads import in_thread
from zoran_ray.errors import NotMergeable, ProviderBusy, PullRequestMoved


async def merge(flight: Flight) -> State:
    """All pull requests are merged, in their order, or one is to be tested anew.

    Raises:
        AwaitsPerson: A person has to look.
        ZoranError: The forge failed, or somebody moves things about; it may be tried again.
    """
    for part in flight.waiting():
        if not await clear(flight, part):  # once more: somebody may have objected since
            return State.EDITED
        if flight.parts[part.index].merged is None:
            await _merge(flight, part)
    for part in flight.changed():
        await _require_tested_base(flight, part)
    return State.MERGED


async def _merge(flight: Flight, part: Part) -> None:
    assert part.number is not None
    step = flight.step(part, f"merge {part.round}")
    tested = Commits(part.commit, part.base)
    try:
        commit = await in_thread(merge_once, step, part.number, tested, flight.settings.method)
    except PullRequestMoved as moved:
        raise ProviderBusy(f"{moved.message} It is looked at again.", retry_after_s=1.0) from None
    except NotMergeable as error:
        raise AwaitsPerson("merge", error.message, None) from None
    await flight.put(replace(part, merged=commit))
    await flight.held.note("merged", {"repository": part.index, "commit": commit})


async def _require_tested_base(flight: Flight, part: Part) -> None:
    """What was merged must stand on the base that was tested: it may have moved in the last moment.

    Then nobody knows of anything broken, only that this very tree was not tested. So nothing is deployed
    and a person looks; taking it back by ourselves would move the branch under others a second time.
    """
    if part.merged is None or part.by_hand or flight.approvers("base", part.merged):
        return
    repository = flight.repository(part.remote)
    await in_thread(repository.fetch, part.branch)
    below = await in_thread(repository.parents, part.merged)
    if below[:1] != [part.base]:
        why = "The base moved in the moment of the merge: what was merged was not tested on it."
        raise AwaitsPerson("base", why, part.merged)
