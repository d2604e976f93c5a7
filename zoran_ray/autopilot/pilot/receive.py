"""From a request to base commits in our copies, each under the policy that holds for it, in an order in
which each comes after those that it needs. Asks no model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zoran_ray.autopilot.pilot.asides import GaveUp
from zoran_ray.autopilot.pilot.flight import Flight
from zoran_ray.autopilot.pilot.manifest import Manifest, manifest_of, needs_among
from zoran_ray.autopilot.pilot.order import ordered, reached
from zoran_ray.autopilot.pilot.part import Part
from zoran_ray.autopilot.task import State
from zoran_ray.batch.threads import in_thread

Json = Mapping[str, Any]
_DEPLOYS = (State.DEPLOYED, State.HEALTHY)
ORDERED = "ordered"
"""Kind of the event that tells the order of several repositories."""


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A repository as it was fetched."""

    remote: str
    branch: str
    base: str


async def receive(flight: Flight) -> None:
    """Fetches all repositories, and writes them down in the order of the work, once and all at once.

    Raises:
        GaveUp: The task is to be deployed, and nobody knows where.
        PermissionDenied: A policy allows less than the task's mode.
        ZoranError: A remote does not answer, has no such branch, or its own rules are wrong.
    """
    if flight.task.goal in _DEPLOYS and flight.errand.deploy not in flight.world.deployers:
        raise GaveUp(
            "no_target", "The task is to be deployed, and its target is not known here. Name another one."
        )
    known = {part.remote for part in flight.parts}
    left = [each for each in flight.errand.repositories if each[0] not in known]
    fetched = [
        _Fetched(remote, *await in_thread(flight.repository(remote).fetch, wanted))
        for remote, wanted in left
    ]
    # A version before this one wrote down one after the other: then they stay as the request has them.
    needs = await _needs(flight, fetched) if not known else [frozenset[int]()] * len(fetched)
    parts = _in_order(fetched, needs, len(known))
    if len(parts) > 1:
        await flight.held.note(ORDERED, _told(fetched, parts, needs))
    if parts:
        await flight.put(*[replace(part, policy=await _policy(flight, part)) for part in parts])


async def _policy(flight: Flight, part: Part) -> str:
    return (await flight.checkout(part)).engine.policy_hash


async def _needs(flight: Flight, fetched: Sequence[_Fetched]) -> list[frozenset[int]]:
    """Which of them each needs, by their places in the request."""
    if len(fetched) < 2:
        return [frozenset()] * len(fetched)
    said = list[Manifest]()
    for each in fetched:
        tree = await in_thread(flight.repository(each.remote).tree, each.base)
        said.append(await in_thread(manifest_of, each.remote, tree.files))
    return needs_among(said)


def _in_order(fetched: Sequence[_Fetched], needs: Sequence[frozenset[int]], first: int) -> list[Part]:
    """Parts, the first of which has this index."""
    order, every = ordered(needs), reached(needs)
    return [
        Part(
            first + place, fetched[each].remote, fetched[each].branch, fetched[each].base,
            needs=tuple(first + earlier for earlier in range(place) if order[earlier] in every[each]),
        )
        for place, each in enumerate(order)
    ]  # fmt: skip


def _told(fetched: Sequence[_Fetched], parts: Sequence[Part], needs: Sequence[frozenset[int]]) -> Json:
    """The order, what it comes from, and who stands in a cycle, which has no order of its own."""
    remotes = [each.remote for each in fetched]
    return {
        "repositories": [part.remote for part in parts],
        "needs": {
            remotes[place]: [remotes[other] for other in sorted(each)] for place, each in enumerate(needs)
        },
        "in_a_cycle": [remotes[place] for place, every in enumerate(reached(needs)) if place in every],
    }
