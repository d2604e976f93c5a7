"""The one place that writes the journal, and knows which keys hide its names and who is to be forgotten.

Callers that come while the disk is busy share the next write and the next wait for it. Nothing is opened
before the first call; a journal that cannot be used fails each call and is tried again, a moment later.
"""

import asyncio
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shutil import disk_usage
from typing import Any, TypeVar

from actors.forgotten import Forgettings, forgotten_list
from actors.journal_ticket import Ticket
from actors.watched import journal_text
from zoran_ray.access.private_db import PrivateDatabase
from zoran_ray.errors import (
    ConfigError,
    InvalidRequest,
    Overloaded,
    PermissionDenied,
    Unavailable,
    ZoranError,
    plain,
)
from zoran_ray.journal import (
    JOURNAL_FILE,
    KEY_FILE,
    SALTS_FILE,
    Entry,
    Event,
    Journal,
    Salts,
    blinded,
    checkpoint_row,
    consistency_evidence,
    entry_of,
    entry_row,
    inclusion_evidence,
    load_or_make_key,
    open_journal,
)
from zoran_ray.journal.salts import SCHEMA

log = logging.getLogger("zoran.journal")

MOST_EVENTS = 4096
"""Events of one call."""
MOST_WAITING = 16_384
"""Events that may wait for the disk."""
MOST_CALLS = 1000
"""Questions that may wait for the disk."""
MOST_TAIL = 1000
REST_S = 1.0
"""How long a journal that could not be opened is left alone: opening reads all of it."""

_COMPLAIN_S = 10.0

T = TypeVar("T")


class JournalWriter:
    """The journal of a deployment. `actors.cluster` gives it a mailbox.

    Every method raises `ConfigError` where the journal's files are damaged or not ours to use, and
    `Unavailable` where the disk is full or has failed.

    Args:
        state_dir: Folder of the journal, its key, and the keys that hide names.
        now: Unix time in seconds.
        clock: Monotonic seconds.
        fsync: Puts a file's content on disk.
    """

    def __init__(
        self,
        state_dir: Path,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        fsync: Callable[[int], None] = os.fsync,
    ) -> None:
        self._folder = state_dir
        self._now = now
        self._clock = clock
        self._fsync = fsync
        self._journal: Journal | None = None
        self._salts = Salts(self._database())
        self._forgotten = forgotten_list(state_dir, now)
        # One thread: everything about the files happens in one order.
        self._disk = ThreadPoolExecutor(1, "journal")
        self._queue: deque[Ticket] = deque()
        self._waiting = 0
        self._asking = 0
        self._failures = 0
        self._writing: asyncio.Task[None] | None = None
        self._refused: ZoranError | None = None
        self._rests_until = -math.inf
        self._complained_at = -math.inf

    async def append(self, events: tuple[Event, ...], durable: bool = True) -> int:
        """Write events; together, in order, and all or none.

        Args:
            durable: Return once they are on disk; otherwise they outlive this process but not a loss of
                power.

        Returns:
            Number of the first one's entry.

        Raises:
            InvalidRequest: Too many, or one has something that no entry may hold.
            Overloaded: Too many wait for the disk; nothing was written.
        """
        if not events or len(events) > MOST_EVENTS:
            raise InvalidRequest(f"Tell the journal of 1 to {MOST_EVENTS} events at once.")
        if self._waiting + len(events) > MOST_WAITING:
            raise Overloaded("Too many journal entries wait for the disk. Try again.", retry_after_s=1.0)
        ticket = Ticket(tuple(events), durable, asyncio.get_running_loop().create_future())
        self._queue.append(ticket)
        self._waiting += len(events)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        return await ticket.done

    async def head(self) -> dict[str, Any]:
        """The signed checkpoint over all entries, and the key that verifies it."""
        return await self._ask(self._head)

    async def tail(self, count: int = 20, before: int | None = None) -> dict[str, Any]:
        """The last entries, oldest first, and how many there are.

        Args:
            count: At most 1,000.
            before: Number of an entry: the last ones before that.
        """
        if not 1 <= count <= MOST_TAIL:
            raise InvalidRequest(f"'limit' must be a whole number from 1 to {MOST_TAIL}.", param="limit")
        return await self._ask(partial(self._tail, count, before))

    async def prove(self, index: int, tenant: str | None = None) -> dict[str, Any]:
        """A document that shows that an entry is in the journal; the entry is in it.

        Args:
            tenant: Whose entry it must be; None for anybody's.

        Raises:
            InvalidRequest: There is no such entry.
            PermissionDenied: It is another's.
        """
        return await self._ask(partial(self._prove, index, tenant))

    async def consistency(self, size: int) -> dict[str, Any]:
        """What shows that the first `size` entries are those of an older checkpoint still, once that is put
        into it. Raises: InvalidRequest: There are fewer.
        """
        return await self._ask(partial(self._consistency, size))

    async def forget_names(self, tenant: str, subject: str | None = None) -> None:
        """Make what the journal says of a subject, or of a tenant and all its subjects, say nothing."""
        await self._ask(partial(self._salts.forget, tenant, subject))

    async def forget_everywhere(self, tenant: str, subject: str) -> None:
        """See `ForgottenList.add`."""
        await self._ask(partial(self._forgotten.add, tenant, subject))

    async def forgotten_since(self, epoch: str, version: int) -> Forgettings:
        """See `ForgottenList.since`."""
        return await self._ask(partial(self._forgotten.since, epoch, version))

    async def metrics(self) -> str:
        """How it is, for Prometheus; opens nothing."""
        entries = None if self._journal is None else self._journal.size
        return journal_text(entries, self._waiting, self._failures, disk_usage(self._folder))

    async def stop(self) -> None:
        """Write what is waiting and let go of the files."""
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        await self._on_disk(self._close)
        self._disk.shutdown()

    # -- one write after the other ------------------------------------------------------------

    async def _write(self) -> None:
        while self._queue:
            batch = self._taken()
            try:
                told = await self._on_disk(partial(self._commit, batch))
            except ZoranError as error:
                told = [error] * len(batch)
            except Exception:
                log.exception("the journal's writer has failed")
                told = [Unavailable("The journal's writer has failed. Try again.")] * len(batch)
            for ticket, outcome in zip(batch, told, strict=True):
                ticket.tell(outcome)

    def _taken(self) -> list[Ticket]:
        batch = list(self._queue)
        self._queue.clear()
        self._waiting = 0
        return batch

    def _commit(self, batch: Sequence[Ticket]) -> list[int | ZoranError]:
        """Numbers of the tickets' first entries, or why one was refused."""
        with self._opened() as journal:
            # The keys of all that are new in one transaction.
            self._salts.of(name for ticket in batch for event in ticket.events for name in event.names())
            made = [self._entries(ticket.events) for ticket in batch]
            good = [entry for entries in made if not isinstance(entries, ZoranError) for entry in entries]
            wait = any(ticket.durable for ticket in batch)
            first = journal.append(good, durable=wait).first if good else 0
            told: list[int | ZoranError] = []
            for entries in made:
                if isinstance(entries, ZoranError):
                    told.append(entries)
                else:
                    told.append(first)
                    first += len(entries)
            return told

    def _entries(self, events: Sequence[Event]) -> list[Entry] | ZoranError:
        now_ms = round(self._now() * 1000)
        try:
            return [entry_of(event, self._salts, now_ms) for event in events]
        except InvalidRequest as error:
            return error

    # -- questions ----------------------------------------------------------------------------

    def _head(self) -> dict[str, Any]:
        with self._opened() as journal:
            head = journal.head()
            return checkpoint_row(head) | {"note": head.note, "key": str(journal.verifier)}

    def _tail(self, count: int, before: int | None) -> dict[str, Any]:
        with self._opened() as journal:
            journal.head()  # what is told may be relied on, so it goes to disk first
            last = journal.size if before is None else max(0, min(before, journal.size))
            first = max(0, last - count)
            rows = [
                entry_row(number, data) for number, data in enumerate(journal.entries(first, last), first)
            ]
            return {"size": journal.size, "entries": rows}

    def _prove(self, index: int, tenant: str | None) -> dict[str, Any]:
        with self._opened() as journal:
            data, path, checkpoint = journal.inclusion(index)
            if tenant is not None and not self._is_of(data, tenant):
                raise PermissionDenied("This key sees entries of its own tenant only.", param="index")
            return inclusion_evidence(index, data, path, checkpoint)

    def _is_of(self, data: bytes, tenant: str) -> bool:
        key = self._salts.known(tenant)
        return key is not None and Entry.from_data(data).meta.get("tenant") == blinded(tenant, key)

    def _consistency(self, size: int) -> dict[str, Any]:
        with self._opened() as journal:
            path, checkpoint = journal.consistency(size)
            return consistency_evidence(size, path, checkpoint)

    async def _ask(self, question: Callable[[], T]) -> T:
        if self._asking >= MOST_CALLS:
            raise Overloaded("Too many questions wait for the journal. Try again.", retry_after_s=1.0)
        self._asking += 1
        try:
            return await self._on_disk(question)
        finally:
            self._asking -= 1

    async def _on_disk(self, call: Callable[[], T]) -> T:
        """Callers are not told what is wrong with our files; the operator is, once in a while."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._disk, call)
        except (ConfigError, Unavailable) as error:
            self._complain(error)
            raise type(error)(
                "The journal cannot be used now; the server's log says why. Try again later.",
                retry_after_s=error.retry_after_s,
            ) from None

    # -- files, on the disk's thread ----------------------------------------------------------

    @contextmanager
    def _opened(self) -> Iterator[Journal]:
        """The journal; one whose disk failed is opened again at the next call."""
        try:
            if self._journal is None:
                self._journal = self._open()
            yield self._journal
        finally:
            if self._journal is not None and not self._journal.usable:
                journal, self._journal = self._journal, None
                journal.close()

    def _open(self) -> Journal:
        if self._refused is not None and self._clock() < self._rests_until:
            raise plain(self._refused)
        try:
            key = load_or_make_key(self._folder / KEY_FILE)
            journal = open_journal(self._folder / JOURNAL_FILE, key, fsync=self._fsync)
        except (ConfigError, Unavailable) as error:
            self._refused, self._rests_until = error, self._clock() + REST_S
            raise
        self._refused = None
        if found := journal.recovery.cut_bytes:
            log.warning(
                "the journal ended with an unfinished write: %d bytes with %d entries were cut",
                *(found, journal.recovery.cut_entries),
            )
        return journal

    def _close(self) -> None:
        self._salts.close()
        self._forgotten.close()
        if self._journal is not None:
            self._journal.close()

    def _complain(self, error: ZoranError) -> None:
        self._failures += 1
        if self._clock() - self._complained_at >= _COMPLAIN_S:
            self._complained_at = self._clock()
            log.error("the journal cannot be used: %s", error)

    def _database(self) -> PrivateDatabase:
        return PrivateDatabase(
            self._folder / SALTS_FILE,
            SCHEMA,
            "The file of the journal's keys for names",
            "start it again: what the journal says of people until now says nothing any more",
            keep_open=True,
        )
