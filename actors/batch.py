"""The one process that keeps batches and uploaded files, and asks gateways for what batches want.

It asks any gateway through its Serve handle, as the memory does for vectors, and says in whose name: the id
of the key that made the batch. So every model, strategy, limit, budget and privacy profile of that key
holds for each line; a key that is revoked stops its batches; no key is kept in the clear; and there is no
route or header by which anybody outside the cluster could speak in another's name.

Gateways reach it by name, wherever they are: an uploaded file is on the head node's disk.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson

from actors.names import REGISTRY, call
from zoran_ray.batch.database import DATABASE
from zoran_ray.batch.lines import Request
from zoran_ray.batch.office import FOLDER, BatchOffice
from zoran_ray.batch.outcome import Outcome
from zoran_ray.batch.seats import Seats
from zoran_ray.errors import Unavailable, ZoranError, plain
from zoran_ray.messages import FleetSnapshot

log = logging.getLogger("zoran.batch")

ASKED = frozenset(
    {
        *("upload", "add", "keep", "drop", "file", "files", "content", "delete"),
        *("create", "batch", "batches", "cancel"),
    }
)
"""What gateways may ask."""

_WATCH_S = 10.0
_GRACE_S = 5.0
_RETRY_S = 1.0


class BatchWorker:
    """`BatchOffice` for a mailbox. `actors.cluster` gives it one.

    Args:
        state_dir: Folder of everything durable.
        request_timeout_s: Longest that a gateway takes for an answer, in seconds.
        gateway: Gives the Serve handle of the gateways.
        watch: Gives the fleet once it differs from the one that is known, or None.
    """

    def __init__(
        self,
        state_dir: Path,
        request_timeout_s: float,
        gateway: Callable[[], Any] | None = None,
        watch: Callable[[FleetSnapshot], Awaitable[FleetSnapshot | None]] | None = None,
    ) -> None:
        self._gateway = gateway or _gateway
        self._watch = watch or _watch
        self._state_dir = state_dir
        self._wait_s = request_timeout_s + _GRACE_S
        self._handle: Any = None
        self._seats = Seats()
        self._office: BatchOffice | None = None
        self._following: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    async def resume(self) -> None:
        """Goes on with what an earlier process left, if there is anything."""
        if (self._state_dir / FOLDER / DATABASE).exists():
            await self._ready()

    async def ask(self, method: str, *args: Any) -> Any:
        """Calls a method of `BatchOffice`. Raises: ZoranError: What it raises."""
        assert method in ASKED
        return await getattr(await self._ready(), method)(*args)

    async def stop(self) -> None:
        """Stops what runs and lets go of the files."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        if self._office is not None:
            await self._office.stop()

    async def _ready(self) -> BatchOffice:
        async with self._opening:
            if self._office is None:
                office = BatchOffice(self._state_dir, self._ask, self._seats)
                await office.start()
                self._following = asyncio.create_task(self._follow())
                self._office = office
            return self._office

    async def _follow(self) -> None:
        """Keep the seats as many as the replicas have."""
        known = FleetSnapshot()
        while True:
            try:
                fresh = await self._watch(known)
            except Exception as failure:
                log.debug("the registry does not answer: %s", type(failure).__name__)
                await asyncio.sleep(_RETRY_S)
                continue
            if fresh:
                known = fresh
                self._seats.update(fresh)

    async def _ask(self, key_id: str, request: Request, request_id: str) -> Outcome:
        """One try at one gateway. Raises: ZoranError: None answered."""
        try:
            # The first time it asks the controller, which may take its time.
            handle = self._handle = self._handle or await asyncio.to_thread(self._gateway)
            body = orjson.dumps(request.body)
            response = handle.ask.remote(request.endpoint.path, body, key_id, request_id)
            async with _cancelled_with(response), asyncio.timeout(self._wait_s):
                outcome: Outcome = await response
                return outcome
        except ZoranError as error:
            raise plain(error) from None
        except Exception as failure:
            # Its text may hold a prompt.
            kind = type(failure).__name__
            raise Unavailable(f"No gateway answers ({kind}); look at `zoran status`.") from None


@contextlib.asynccontextmanager
async def _cancelled_with(response: Any) -> AsyncIterator[None]:
    """What was asked stops, and the model with it, when whoever waits for it goes away."""
    try:
        yield
    except BaseException:
        response.cancel()
        raise


async def _watch(known: FleetSnapshot) -> FleetSnapshot | None:
    fresh: FleetSnapshot | None = await call(
        REGISTRY, "watch", known.epoch, known.version, _WATCH_S, timeout_s=_WATCH_S + _GRACE_S
    )
    return fresh


def _gateway() -> Any:
    from ray import serve

    return serve.get_deployment_handle("gateway", app_name="gateway")
