"""What a gateway asks of actors, with their errors plain. Knows their names and calls, nothing else."""

import asyncio
from functools import partial
from typing import Any

from ray import serve

from actors.names import ACCESS, RESONATOR, call, plain_errors
from zoran_ray.access.leases import Ask, Grant, Settlement
from zoran_ray.batch.threads import in_own_thread
from zoran_ray.messages import ModelInfo
from zoran_ray.routing.reports import Answered, Scored

ROUTING_SILENT = "Routing is being restarted; try again shortly."


async def lease(asks: tuple[Ask, ...], settlements: tuple[Settlement, ...]) -> tuple[Grant, ...]:
    """Parts of rate limits. Raises: as the authority, or Ray's."""
    granted: tuple[Grant, ...] = await call(ACCESS, "lease", asks, settlements)
    return granted


async def report(batch: tuple[Answered | Scored, ...]) -> None:
    """What became of routed requests. Raises: as the Resonator, or Ray's."""
    await call(RESONATOR, "report", batch)


async def routing_state() -> dict[str, Any]:
    """What routing has learned, for people. Raises: ZoranError."""
    with plain_errors(ROUTING_SILENT):
        state: dict[str, Any] = await call(RESONATOR, "state")
    return state


async def wake(model: ModelInfo) -> None:
    """Queue a call at Serve: a waiting call is what makes a model scale up from zero."""
    # Serve's controller is asked for the handle, and is away while the head is.
    find = partial(serve.get_deployment_handle, "replica", app_name=model.app)
    handle = await asyncio.wrap_future(in_own_thread(find, "wake"))
    await handle.wake.remote()
