"""Traces of one gateway: written in the background, found again by their tenants until they are too old.

They lie in the state directory of the node that this gateway runs on, like the privacy vault: another
node's gateways do not find them unless both see the same folder. Whoever was forgotten anywhere is
forgotten here within a minute, and before a trace is shown: where nobody can say who that is, none is.
A gateway that cannot keep up leaves out what has no room and says so in the log; no request waits for one.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from actors.forgotten import Forgettings
from actors.told import Telling
from serve_apps.gateway.trace_folder import TraceFolder, forgotten
from serve_apps.gateway.trace_record import TraceRecord, row_of
from zoran_ray.errors import InvalidRequest, RecordNotFound, Unavailable, ZoranError

log = logging.getLogger("zoran.gateway")

MOST_WAITING = 64
"""Traces that wait to be written."""
_SWEEP_S = 60.0
_RETRY_S = 1.0

T = TypeVar("T")


class Everywhere(Protocol):
    """The list of whom all nodes are to forget; see `actors.forgotten`."""

    async def add(self, tenant: str, subject: str) -> None:
        """Raises: ZoranError: It does not answer."""
        ...

    async def since(self, epoch: str, version: int) -> Forgettings:
        """Raises: ZoranError: It does not answer."""
        ...


class Traces:
    """Keeps traces.

    Args:
        folder: Where they lie.
        telling: Tells the journal of each.
        everywhere: Whom all nodes are to forget.
    """

    def __init__(self, folder: TraceFolder, telling: Telling, everywhere: Everywhere) -> None:
        self._folder = folder
        self._telling = telling
        self._everywhere = everywhere
        self._following = asyncio.Lock()
        self._waiting: OrderedDict[str, TraceRecord] = OrderedDict()
        self._some = asyncio.Event()
        self._writing = asyncio.Lock()

    def keep(self, record: TraceRecord) -> None:
        """Keeps one, soon. Never waits."""
        if len(self._waiting) >= MOST_WAITING:
            log.warning("a trace was not kept: too many wait to be written")
            return
        self._waiting[record.id] = record
        self._some.set()

    async def get(self, trace_id: str, tenant: str) -> bytes:
        """One as JSON.

        Raises:
            RecordNotFound: This tenant has none of this name here, or not any more.
            ZoranError: Who was forgotten cannot be said now.
        """
        await self._follow()
        if trace_id in self._waiting:
            await self.flush()
        data = await asyncio.to_thread(self._folder.read, trace_id, tenant)
        if data is None:
            raise RecordNotFound("There is no such trace, or not any more: they are kept for a while only.")
        return data

    async def forget(self, trace_id: str, tenant: str) -> None:
        """Deletes one. Raises: RecordNotFound: As `get`."""
        await self.flush()
        if not await asyncio.to_thread(self._folder.delete, trace_id, tenant):
            raise RecordNotFound("There is no such trace, or not any more.")

    async def forget_all(self, tenant: str, subject: str | None) -> int:
        """Deletes all of a tenant, or all about a subject, on all nodes; requests that run leave none.

        Returns:
            How many were on this one. Others delete theirs within a minute and show none before; one that
            is away does so when it is back.

        Raises:
            Unavailable: They could not be deleted, or the others cannot be told.
        """
        await self.flush()
        who = forgotten(tenant, subject)
        count = await self._on_disk(self._folder.forget, who)
        await self._everywhere.add(who.tenant, who.subject)
        await self._follow()
        return count

    async def page(self, tenant: str, limit: int, after: str | None) -> tuple[list[dict[str, Any]], bool]:
        """Rows of a tenant's, newest first, and whether there are more.

        Raises:
            InvalidRequest: `after` is none of them.
            ZoranError: Who was forgotten cannot be said now.
        """
        await self._follow()
        await self.flush()
        page = await asyncio.to_thread(self._rows, tenant, limit, after)
        if page is None:
            raise InvalidRequest("'after' is no trace, or not any more; begin anew.", param="after")
        return page

    async def run(self) -> None:
        """Writes, tells and deletes what is too old, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for loop in (self._write_on, self._tell_on, self._sweep_on):
                group.create_task(loop())

    async def flush(self) -> None:
        """Writes what waits. What fails is lost."""
        async with self._writing:
            while self._waiting:
                trace_id, record = next(iter(self._waiting.items()))
                try:
                    data = await asyncio.to_thread(self._written, record)
                    self._telling.put([record.event(data)])
                except Exception as failure:
                    log.error("a trace was not kept: %s", type(failure).__name__)
                self._waiting.pop(trace_id, None)

    async def last_words(self) -> None:
        """Writes what waits, and tells the journal. Raises: ZoranError: It does not hear."""
        await self.flush()
        await self._telling.flush()

    async def _follow(self) -> None:
        """Forgets here whoever was forgotten anywhere. Raises: ZoranError: That cannot be done now."""
        async with self._following:
            epoch, version = await self._on_disk(self._folder.followed)
            while (news := await self._everywhere.since(epoch, version)).entries:
                await self._on_disk(self._folder.follow, news)
                epoch, version = news.epoch, news.version

    async def _on_disk(self, call: Callable[..., T], *args: Any) -> T:
        try:
            return await asyncio.to_thread(call, *args)
        except OSError as failure:
            log.error("traces could not be deleted: %s", type(failure).__name__)
            raise Unavailable(
                "Traces could not be deleted, so nothing was forgotten. Try again; the operator finds in"
                " the server's log why.",
                retry_after_s=5.0,
            ) from None

    def _written(self, record: TraceRecord) -> bytes:
        data = record.data()
        self._folder.write(record.id, record.tenant, data, subjects=record.subjects, began=record.began)
        return data

    def _rows(self, tenant: str, limit: int, after: str | None) -> tuple[list[dict[str, Any]], bool] | None:
        page = self._folder.page(tenant, limit, after)
        return page and ([row_of(each) for each in page[0]], page[1])

    async def _write_on(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            await self.flush()

    async def _tell_on(self) -> None:
        while True:
            with contextlib.suppress(ZoranError):
                await self._telling.run()
            await asyncio.sleep(_RETRY_S)

    async def _sweep_on(self) -> None:
        while True:
            with contextlib.suppress(ZoranError):
                await self._follow()
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self._folder.sweep)
            await asyncio.sleep(_SWEEP_S)
