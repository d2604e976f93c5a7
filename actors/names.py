"""Names of the control plane's actors and how to reach them."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from zoran_ray.errors import Unavailable, ZoranError, plain

NAMESPACE = "zoran"
REGISTRY = "registry"
ACCESS = "access"
RESONATOR = "resonator"
JOURNAL = "journal"
MEMORY = "memory"
BATCH = "batch"
AUTOPILOT = "autopilot"
AGENT_SUPERVISOR = "agents"

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


@contextlib.contextmanager
def plain_errors(silence: str) -> Iterator[None]:
    """Our own errors without Ray's wrapper, which carries the actor's stack; its silence as one of ours.

    Args:
        silence: What to tell the caller of an actor that does not answer.

    Raises:
        ZoranError: What the actor raised, or `Unavailable`.
    """
    try:
        yield
    except ZoranError as error:
        raise plain(error) from None
    except (TimeoutError, RayError, ValueError):  # the last where there is no actor of this name
        raise Unavailable(silence, retry_after_s=2.0) from None


def resume_soon() -> None:
    """Calls this actor's own `resume`: when Ray starts a killed actor again, nobody else hears of it."""
    if not ray.is_initialized():
        return  # a plain object
    context = ray.get_runtime_context()
    if context.get_actor_id():
        with contextlib.suppress(RayError, RuntimeError):  # whoever asks next makes it go on too
            context.current_actor.resume.remote()
