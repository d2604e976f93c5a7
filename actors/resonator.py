"""The one place that learns which model answers what: takes reports in, publishes snapshots.

What is reported is written to the journal first and acknowledged then; learning reads the journal, in its
order, from where the last checkpoint ends. So whatever ends this process loses nothing that was
acknowledged, and the way of a report is the same after a crash as before.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from actors.decisions import decision, rollback
from actors.names import call_registry
from actors.set_aside import is_spoiled, set_aside
from actors.told import Tell, Telling, tell
from zoran_ray.access.private_db import PrivateDatabase
from zoran_ray.errors import ConfigError, Overloaded, UnknownRequest, ZoranError
from zoran_ray.messages import CatalogueSnapshot
from zoran_ray.routing import Snapshot
from zoran_ray.routing.journal import SCHEMA, Mark, RoutingJournal
from zoran_ray.routing.live import LiveResonator, RolledBack, packed
from zoran_ray.routing.reports import Answered, Scored
from zoran_ray.settings import JournalSettings, RoutingSettings

log = logging.getLogger("zoran.routing")

JOURNAL_FILE = "routing.sqlite"
PUBLISH_S = 0.25
KEEP_S = 5.0
BATCH_S = 1.5
"""How long a score waits for the report of its request, which may still be on its way."""
MOST_BEHIND = 20_000
"""Decisions that wait to be learned; of more, the oldest are left out."""

_CATALOGUE_S = 30.0
_GRACE_S = 5.0
_RETRY_S = 1.0
_COMPLAIN_S = 10.0
_SLICE_S = 0.002
_KEEP_PACE = 20
_PAGE = 256
_MOST_WAITING = 256
_MOST_BATCH = 4096

T = TypeVar("T")
Catalogue = Callable[[str, int, float], Awaitable[CatalogueSnapshot | None]]


async def watch_catalogue(epoch: str, version: int, timeout_s: float) -> CatalogueSnapshot | None:
    """The registry's catalogue once it is another than the given one, or None after `timeout_s`."""
    found: CatalogueSnapshot | None = await call_registry(
        "watch_catalogue", epoch, version, timeout_s, timeout_s=timeout_s + _GRACE_S
    )
    return found


class ResonatorActor:
    """Routing's memory and mind. `actors.cluster` gives it a mailbox; it starts with the first call.

    Attributes:
        hooks: Called after every rollback, on the event loop; they must be quick and may not raise.

    Args:
        state_dir: Folder of the journal.
        settings: Budget, exploration, guard.
        catalogue: How to follow the catalogue.
        now: Unix time in seconds.
        journal: What the deployment's journal is told of.
        tell: Tells it. Nobody waits for that: decisions that it does not take in time are left out of it.
    """

    def __init__(
        self,
        state_dir: Path,
        settings: RoutingSettings = RoutingSettings(),  # noqa: B008 - frozen
        catalogue: Catalogue = watch_catalogue,
        now: Callable[[], float] = time.time,
        journal: JournalSettings = JournalSettings(),  # noqa: B008 - frozen
        tell: Tell = tell,
    ) -> None:
        self._told = Telling(tell)
        self._tells_decisions = journal.routing
        self.hooks: list[Callable[[RolledBack], None]] = [lambda back: self._told.put([rollback(back)])]
        self._path = state_dir / JOURNAL_FILE
        self._live = LiveResonator(settings, secrets.token_hex(4), self._announce)
        self._watch_catalogue = catalogue
        self._now = now
        self._journal = RoutingJournal(self._database())
        # One thread: what is written in one order is read in the same.
        self._disk = ThreadPoolExecutor(1, "routing-journal")
        self._snapshot: Snapshot | None = None
        self._published = asyncio.Event()
        self._recorded = asyncio.Event()
        self._dirty = asyncio.Event()
        self._unkept = asyncio.Event()
        self._waiting = 0
        self._resumed: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # -- gateways ---------------------------------------------------------------------------

    async def watch(self, epoch: str, version: int, timeout_s: float) -> Snapshot | None:
        """The snapshot once it differs from the given one, or None after `timeout_s`."""
        await self._start()
        if not self._is_news(epoch, version):
            published = self._published
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await published.wait()
        return self._snapshot if self._is_news(epoch, version) else None

    async def report(self, batch: tuple[Answered | Scored, ...]) -> None:
        """What became of requests, and signs that came late; on return it is on disk. Telling twice
        counts once.

        Raises:
            Overloaded: Too many at once; nothing was written.
            ConfigError, Unavailable: The journal cannot be used; tell again.
        """
        if len(batch) > _MOST_BATCH:
            raise Overloaded(f"At most {_MOST_BATCH} reports at once.", retry_after_s=PUBLISH_S)
        await self._start()
        if answered := [report for report in batch if isinstance(report, Answered)]:
            fresh = await self._on_disk(partial(self._journal.record, answered))
            if self._tells_decisions:
                self._told.put(decision(logged.answered) for logged in fresh)
            self._tell_recorded()
        if scored := [report for report in batch if isinstance(report, Scored)]:
            # One whose request nobody knows says nothing, and there is nobody to tell.
            await self._on_disk(partial(self._journal.score, scored))
            self._tell_recorded()

    async def score(self, scored: Scored) -> str:
        """A score for a request; on return it is on disk.

        Returns:
            "counted"; "duplicate": there was one already; "late": too long after the request to count.

        Raises:
            UnknownRequest: No such request of this key is known.
            Overloaded: Too many wait.
            ConfigError, Unavailable: The journal cannot be used.
        """
        await self._start()
        deadline = asyncio.get_running_loop().time() + BATCH_S
        while True:
            recorded = self._recorded
            (status,) = await self._on_disk(partial(self._journal.score, (scored,)))
            if status != "unknown":
                self._tell_recorded()
                return status
            if not await self._waited(recorded, deadline):
                raise UnknownRequest(
                    "No request of this key has this id, or it was too long ago. Send the x-request-id of"
                    " an answer that 'zoran/auto' gave.",
                    param="request_id",
                )

    async def state(self) -> dict[str, Any]:
        """What has been learned, as plain values."""
        await self._start()
        newest = await self._on_disk(self._journal.newest)
        told = self._live.state()
        told["behind"] = max(0, newest.answered - self._live.mark.answered)
        return told

    def _is_news(self, epoch: str, version: int) -> bool:
        snapshot = self._snapshot
        return snapshot is not None and (snapshot.epoch, snapshot.version) != (epoch, version)

    async def _waited(self, recorded: asyncio.Event, deadline: float) -> bool:
        """Whether anything was recorded before `deadline`."""
        if self._waiting >= _MOST_WAITING:
            raise Overloaded("Too many scores wait for their requests.", retry_after_s=BATCH_S)
        self._waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                await recorded.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return True

    def _tell_recorded(self) -> None:
        self._recorded.set()
        self._recorded = asyncio.Event()

    # -- life -------------------------------------------------------------------------------

    async def _start(self) -> None:
        """Returns once the checkpoint is read; the rest goes on by itself."""
        if self._resumed is None:
            self._resumed = asyncio.create_task(self._resume())
            loops = (self._follow_catalogue, self._learn, self._publish, self._keep, self._told.run)
            self._tasks = [asyncio.create_task(self._ever(loop)) for loop in loops]
        await asyncio.shield(self._resumed)

    async def stop(self) -> None:
        """Keep what was learned and end; without it nothing is lost, only learned again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(ZoranError):
            await self._keep_now()
        self._disk.shutdown()
        self._journal.close()

    async def _resume(self) -> None:
        try:
            kept = await self._on_disk(self._opened)
            if kept is not None:
                self._live.resume(*kept)
        except ZoranError as error:
            log.warning("routing begins without its checkpoint: %s", error)

    def _opened(self) -> tuple[Mark, bytes] | None:
        """The checkpoint. A file that is spoiled is set aside, and a new one begun."""
        try:
            self._journal.check()
        except ConfigError as error:
            if not is_spoiled(error):
                raise
            self._journal.close()
            aside = set_aside(self._path)
            log.warning("routing begins anew, its journal is set aside as %s: %s", aside.name, error)
        return self._journal.latest()

    def _database(self) -> PrivateDatabase:
        return PrivateDatabase(
            self._path,
            SCHEMA,
            "The router's journal",
            "start it again: the router learns anew",
            keep_open=True,
        )

    async def _on_disk(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, call)

    # -- loops ------------------------------------------------------------------------------

    async def _follow_catalogue(self) -> None:
        epoch, version = "", 0
        while True:
            fresh = await self._watch_catalogue(epoch, version, _CATALOGUE_S)
            if fresh is not None:
                epoch, version = fresh.epoch, fresh.version
                if self._live.follow(fresh.file.offers):
                    self._changed()

    async def _learn(self) -> None:
        """Learns what the journal holds and was not learned yet."""
        while True:
            recorded = self._recorded
            if not self._live.ready or not await self._learn_page():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_RETRY_S):
                        await recorded.wait()

    async def _learn_page(self) -> bool:
        newest = await self._on_disk(self._journal.newest)
        behind = newest.answered - self._live.mark.answered
        if behind > MOST_BEHIND:
            log.warning("routing is %d reports behind and leaves out the oldest", behind)
            self._live.skip_to(Mark(newest.answered - MOST_BEHIND))
        mark = self._live.mark
        try:
            decisions = await self._on_disk(partial(self._journal.decisions, mark.answered, _PAGE))
            scores = await self._on_disk(partial(self._journal.late_scores, mark.scored, _PAGE))
        except ConfigError:
            self._live.skip_to(newest)
            raise
        lessons = [partial(self._live.learn, logged) for logged in decisions]
        lessons += [partial(self._live.score, late) for late in scores]
        await self._take(lessons)
        return bool(lessons)

    async def _take(self, lessons: list[partial[None]]) -> None:
        """A little at a time, so that nobody waits long meanwhile."""
        slice_ends = time.monotonic() + _SLICE_S
        for lesson in lessons:
            lesson()
            self._changed()
            if time.monotonic() > slice_ends:
                await asyncio.sleep(0)
                slice_ends = time.monotonic() + _SLICE_S

    def _changed(self) -> None:
        self._dirty.set()
        self._unkept.set()

    async def _publish(self) -> None:
        """A few times a second at most."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            self._snapshot = self._live.publication()
            self._published.set()
            self._published = asyncio.Event()
            await asyncio.sleep(PUBLISH_S)

    async def _keep(self) -> None:
        """A checkpoint every few seconds; less often where one takes long."""
        while True:
            await self._unkept.wait()
            self._unkept.clear()
            began = time.monotonic()
            await self._keep_now()
            await asyncio.sleep(max(KEEP_S, _KEEP_PACE * (time.monotonic() - began)))

    async def _keep_now(self) -> None:
        if checkpoint := self._live.checkpoint():
            at = self._now()
            await self._on_disk(lambda: self._journal.keep(*packed(checkpoint), at))

    async def _ever(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Runs a loop once the checkpoint is read, and again after any failure."""
        assert self._resumed is not None
        await asyncio.shield(self._resumed)
        complained_at = time.monotonic()  # whoever we need may still be starting
        while True:
            try:
                await loop()
            except Exception as failure:
                if time.monotonic() - complained_at >= _COMPLAIN_S:
                    complained_at = time.monotonic()
                    log.warning("routing goes on after a failure: %s: %s", type(failure).__name__, failure)
                await asyncio.sleep(_RETRY_S)

    def _announce(self, rolled_back: RolledBack) -> None:
        log.warning(
            "the routing guard has returned to its last good state (rollback %d, stability %s)",
            rolled_back.rollbacks,
            "unknown" if rolled_back.stability is None else f"{rolled_back.stability:.2f}",
        )
        for hook in self.hooks:
            hook(rolled_back)
