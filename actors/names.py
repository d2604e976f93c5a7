"""Names of the control plane's actors and how to reach them."""

import asyncio
from typing import Any

import ray
from ray.actor import ActorHandle

NAMESPACE = "zoran"
REGISTRY = "registry"
ACCESS = "access"
RESONATOR = "resonator"
JOURNAL = "journal"
MEMORY = "memory"
BATCH = "batch"

_CALL_S = 5.0


def named(name: str) -> ActorHandle:
    """The live actor of this name. Looked up anew each time: a restarted driver replaces actors."""
    return ray.get_actor(name, namespace=NAMESPACE)


async def call(actor: str, method: str, *args: Any, timeout_s: float = _CALL_S) -> Any:
    """Call an actor and wait at most `timeout_s`.

    Raises:
        TimeoutError: No answer in time.
        ray.exceptions.RayError: The actor is gone.
    """
    async with asyncio.timeout(timeout_s):
        return await getattr(named(actor), method).remote(*args)


async def call_registry(method: str, *args: Any, timeout_s: float = _CALL_S) -> Any:
    """`call` on the registry."""
    return await call(REGISTRY, method, *args, timeout_s=timeout_s)
