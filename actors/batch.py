"""The one process that keeps batches and uploaded files, and asks gateways for what batches want.

Each line is asked in the name of the key that made its batch, see `gateway_asking`.
Gateways reach it by name, wherever they are: an uploaded file is on the head node's disk.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from actors.gateway_asking import GatewayAsking
from actors.names import REGISTRY, resume_soon, watch
from actors.watched import batch_text
from zoran_ray.batch.database import DATABASE
from zoran_ray.batch.lines import Request
from zoran_ray.batch.office import FOLDER, BatchOffice
from zoran_ray.batch.outcome import Outcome
from zoran_ray.batch.seats import Seats
from zoran_ray.messages import FleetSnapshot

log = logging.getLogger("zoran.batch")

ASKED = frozenset(
    {
        *("upload", "add", "keep", "drop", "file", "files", "content", "delete"),
        *("create", "batch", "batches", "cancel"),
    }
)
"""What gateways may ask."""

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
        self._asking = GatewayAsking(request_timeout_s, gateway)
        self._watch = watch or _watch
        self._state_dir = state_dir
        self._seats = Seats()
        self._office: BatchOffice | None = None
        self._following: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        resume_soon()

    async def resume(self) -> None:
        """Goes on with what an earlier process left, if there is anything."""
        if (self._state_dir / FOLDER / DATABASE).exists():
            await self._ready()

    async def ask(self, method: str, *args: Any) -> Any:
        """Calls a method of `BatchOffice`. Raises: ZoranError: What it raises."""
        assert method in ASKED
        return await getattr(await self._ready(), method)(*args)

    async def metrics(self) -> str:
        """What there is, for Prometheus; opens nothing."""
        return batch_text({} if self._office is None else await self._office.counts())

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
        return await self._asking(key_id, request.endpoint.path, request.body, request_id)


async def _watch(known: FleetSnapshot) -> FleetSnapshot | None:
    fresh: FleetSnapshot | None = await watch(REGISTRY, "watch", known.epoch, known.version)
    return fresh
