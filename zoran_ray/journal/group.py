"""Group commit: callers that come while the disk is busy share the next write and the next wait for it.

Has no thread of its own: whoever waits first writes for all who wait. Knows no file.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zoran_ray.errors import DeadlineExceeded, InvalidRequest, Overloaded, Unavailable, ZoranError
from zoran_ray.journal.contents import MOST_BATCH
from zoran_ray.journal.entry import Entry
from zoran_ray.journal.log import Journal, Receipt


@dataclass(slots=True, eq=False)
class _Ticket:
    entries: Sequence[Entry]
    durable: bool
    receipt: Receipt | None = None
    error: ZoranError | None = None


class GroupCommit:
    """Appends from many threads.

    Args:
        journal: Where to.
        most_waiting: Entries that may wait at a time.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        most_waiting: int = MOST_BATCH,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._most_waiting = most_waiting
        self._clock = clock
        self._queue: deque[_Ticket] = deque()
        self._waiting = 0
        self._queue_lock = threading.Lock()
        self._turn = threading.Lock()

    def append(self, entries: Sequence[Entry], *, durable: bool = True, timeout_s: float = 30.0) -> Receipt:
        """Add entries and wait until they are written, and on disk where asked.

        Args:
            entries: Stay together and in order.
            durable: Wait for the disk; otherwise until the system has them.
            timeout_s: Longest wait for one's turn, in seconds; the write itself is not broken off.

        Raises:
            InvalidRequest: More than fit into a batch.
            Overloaded: Too many wait; nothing was added.
            DeadlineExceeded: No turn in time; nothing was added, unless the message says that it may be.
            Unavailable: As `Journal.append`.
        """
        ticket = self._queued(entries, durable)
        self._lead(ticket, timeout_s)
        if ticket.error is not None:
            raise ticket.error
        assert ticket.receipt is not None
        return ticket.receipt

    def offer(self, entries: Sequence[Entry]) -> None:
        """Leave entries for the next write, by whomever, and go on. Lost if the process ends before.

        Raises:
            InvalidRequest, Overloaded: As `append`.
        """
        if entries:
            self._queued(entries, False)

    def flush(self, *, durable: bool = True, timeout_s: float = 30.0) -> None:
        """Write what was offered. Raises: As `append`."""
        self.append((), durable=durable, timeout_s=timeout_s)

    def _queued(self, entries: Sequence[Entry], durable: bool) -> _Ticket:
        if len(entries) > min(MOST_BATCH, self._most_waiting):
            raise InvalidRequest(f"A batch has at most {MOST_BATCH} entries; append it in parts.")
        ticket = _Ticket(tuple(entries), durable)
        with self._queue_lock:
            if self._waiting + len(entries) > self._most_waiting:
                raise Overloaded(
                    "Too many journal entries wait for the disk. Try again.", retry_after_s=1.0
                )
            self._waiting += len(entries)
            self._queue.append(ticket)
        return ticket

    def _lead(self, ticket: _Ticket, timeout_s: float) -> None:
        """Write batches until the ticket is done, by oneself or by whoever has the turn."""
        if not self._turn.acquire(timeout=max(0.0, timeout_s)):
            raise self._late(ticket)
        try:
            while ticket.receipt is None and ticket.error is None:
                self._commit(self._taken())
        finally:
            self._turn.release()

    def _taken(self) -> list[_Ticket]:
        """The next batch, in the order in which they came."""
        batch, count = [], 0
        with self._queue_lock:
            while self._queue and count + len(self._queue[0].entries) <= MOST_BATCH:
                ticket = self._queue.popleft()
                count += len(ticket.entries)
                batch.append(ticket)
            self._waiting -= count
        return batch

    def _commit(self, batch: list[_Ticket]) -> None:
        entries = [entry for ticket in batch for entry in ticket.entries]
        durable = any(ticket.durable for ticket in batch)
        try:
            first = self._journal.append(entries, durable=durable).first
        except ZoranError as error:
            _fail(batch, error)
            return
        except BaseException:
            _fail(
                batch, Unavailable("The journal's writer was broken off; the entries may have been added.")
            )
            raise
        for ticket in batch:
            ticket.receipt = Receipt(first, len(ticket.entries), durable)
            first += len(ticket.entries)

    def _late(self, ticket: _Ticket) -> DeadlineExceeded:
        with self._queue_lock:
            try:
                self._queue.remove(ticket)
            except ValueError:
                known = "the entries may yet be added"
            else:
                self._waiting -= len(ticket.entries)
                known = "nothing was added"
        return DeadlineExceeded(f"The journal's disk is too slow: {known}. Try again.", retry_after_s=1.0)


def _fail(batch: list[_Ticket], error: ZoranError) -> None:
    for ticket in batch:
        ticket.error = error
