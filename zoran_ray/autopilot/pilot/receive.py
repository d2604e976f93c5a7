"""From a request to base commits in our copies, each under the policy that holds for it. Asks no model."""

from dataclasses import replace

from zoran_ray.autopilot.pilot.asides import GaveUp
from zoran_ray.autopilot.pilot.flight import Flight
from zoran_ray.autopilot.pilot.part import Part
from zoran_ray.autopilot.task import State
from zoran_ray.batch.threads import in_thread

_DEPLOYS = (State.DEPLOYED, State.HEALTHY)


async def receive(flight: Flight) -> None:
    """Fetches every repository that was not fetched yet.

    Raises:
        GaveUp: The task is to be deployed, and nobody knows where.
        PermissionDenied: A policy allows less than the task's mode.
        ZoranError: A remote does not answer, has no such branch, or its own rules are wrong.
    """
    if flight.task.goal in _DEPLOYS and flight.errand.deploy not in flight.world.deployers:
        raise GaveUp(
            "no_target", "The task is to be deployed, and its target is not known here. Name another one."
        )
    for index, (remote, wanted) in enumerate(flight.errand.repositories):
        if index >= len(flight.parts):
            branch, base = await in_thread(flight.repository(remote).fetch, wanted)
            part = Part(index, remote, branch, base)
            checkout = await flight.checkout(part)
            await flight.put(replace(part, policy=checkout.engine.policy_hash))
