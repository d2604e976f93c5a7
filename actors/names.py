"""Names of the control plane's actors and how to reach them."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.core.generated.gcs_pb2 import ActorTableData
from ray.exceptions import RayError, RayTaskError

from actors.handles import Handles
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
_WATCH_S = 10.0


def _find(name: str) -> ActorHandle:
    """The live actor of this name, as the GCS has it; waits for its answer up to a minute."""
    return ray.get_actor(name, namespace=NAMESPACE)


def _dead(handle: ActorHandle) -> bool:
    """Whether Ray has told this process that the actor is dead, or knows none: of a Ray that was left."""
    return handle._get_local_state() in (None, ActorTableData.DEAD)


_handles = Handles(_find, _dead)


async def call(actor: str, method: str, *args: Any, timeout_s: float = _CALL_S) -> Any:
    """Call an actor and wait at most `timeout_s`, whatever part of Ray does not answer.

    It is sent once: an actor that died over it may have done what was asked.

    Raises:
        TimeoutError: No answer in time.
        ValueError: No actor has this name.
        ray.exceptions.RayError: The actor is gone.
    """
    async with asyncio.timeout(timeout_s):
        return await getattr(await _handles.of(actor), method).remote(*args)


def send(actor: str, method: str, *args: Any) -> None:
    """Call an actor that was called before, and wait for nobody. Raises: ray.exceptions.RayError."""
    if (handle := _handles.known(actor)) is not None:
        getattr(handle, method).remote(*args)


async def watch(actor: str, method: str, *known: Any) -> Any:
    """What an actor has that differs from what is known, once it has it; None after 10 s without news.

    Raises:
        TimeoutError, ray.exceptions.RayError: As `call`.
    """
    return await call(actor, method, *known, _WATCH_S, timeout_s=_WATCH_S + _CALL_S)


async def call_registry(method: str, *args: Any, timeout_s: float = _CALL_S) -> Any:
    """`call` on the registry."""
    return await call(REGISTRY, method, *args, timeout_s=timeout_s)


@contextlib.contextmanager
def plain_errors(silence: str | Exception, *, broken: str | None = None) -> Iterator[None]:
    """Our own errors without Ray's wrapper, which carries the actor's stack; its silence as one of ours.

    Args:
        silence: What to raise where an actor does not answer; words are those of `Unavailable`.
        broken: What to say where it answers with an error that is none of ours; None: `silence`.

    Raises:
        ZoranError: What the actor raised, or `Unavailable`.
    """
    try:
        yield
    except ZoranError as error:
        raise plain(error) from None
    except (TimeoutError, RayError, ValueError) as failure:  # the last where no actor has this name
        if broken is not None and isinstance(failure, RayTaskError):
            # Without its text, which may hold a prompt, a record or a part of a file.
            kind = type(failure.cause).__name__ if failure.cause else "failure"
            raise Unavailable(f"{broken} ({kind}); the server's log says more.") from None
        lost = Unavailable(silence, retry_after_s=2.0) if isinstance(silence, str) else silence
        raise lost from None


def resume_soon() -> None:
    """Calls this actor's own `resume`: when Ray starts a killed actor again, nobody else hears of it."""
    if not ray.is_initialized():
        return  # a plain object
    context = ray.get_runtime_context()
    if context.get_actor_id():
        with contextlib.suppress(RayError, RuntimeError):  # whoever asks next makes it go on too
            context.current_actor.resume.remote()
