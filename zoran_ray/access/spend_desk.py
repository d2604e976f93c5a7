"""Where requests wait for the ledger: everything that comes while one transaction is written goes into the
next, so a busy deployment pays for the disk once for many requests. Knows no transport and no SQLite.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zoran_ray.access.budgets import Entry, Reserve, Settle
from zoran_ray.errors import BudgetExceeded, ZoranError

Answer = asyncio.Future[BudgetExceeded | None]


@dataclass(slots=True)
class _Waiting:
    entry: Entry
    answer: Answer | None = None


class SpendDesk:
    """Reserves and settles for one event loop.

    Args:
        book: `SpendLedger.book`, or the way to it; called in a thread, one call at a time.
    """

    def __init__(self, book: Callable[[Sequence[Entry]], Sequence[BudgetExceeded | None]]) -> None:
        self._book = book
        self._queue: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    async def reserve(self, wish: Reserve) -> None:
        """Returns once the reservation is on disk. The caller settles it, whatever happens then.

        Raises:
            BudgetExceeded: Nothing is reserved.
            ConfigError, Unavailable: The ledger cannot be used.
        """
        answer: Answer = asyncio.get_running_loop().create_future()
        self._put(_Waiting(wish, answer))
        try:
            refused = await answer
        except asyncio.CancelledError:
            # It may have been written, or may yet be, and nobody is left who would settle it.
            self.settle(wish.reservation_id, 0)
            raise
        if refused is not None:
            raise refused

    def settle(self, reservation_id: str, actual: int) -> None:
        """Books what a request did cost, soon: never waits, so that a cancelled request can call it.

        Until it is on disk the whole reservation counts. Where the ledger fails, it is tried again with
        the next entry or `flush`.

        Raises:
            InvalidRequest: A senseless amount; nothing changes.
        """
        self._put(_Waiting(Settle(reservation_id, actual)))

    async def settled(self, settles: Sequence[Settle]) -> None:
        """Books what requests did cost, and returns once it is on disk.

        Raises:
            ConfigError, Unavailable: The ledger cannot be used; the caller asks again, nothing is kept.
        """
        loop = asyncio.get_running_loop()
        waiting = [(entry, loop.create_future()) for entry in settles]
        for entry, answer in waiting:
            self._put(_Waiting(entry, answer))
        await asyncio.gather(*(answer for _, answer in waiting))

    async def flush(self) -> None:
        """Waits until everything that was put in before is on disk.

        Raises:
            ConfigError, Unavailable: The ledger cannot be used; what was not written is kept.
        """
        while self._queue or self._writer is not None:
            await asyncio.shield(self._started())

    def __len__(self) -> int:
        """Entries that wait."""
        return len(self._queue)

    def _put(self, waiting: _Waiting) -> None:
        self._queue.append(waiting)
        self._started()

    def _started(self) -> asyncio.Task[None]:
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
            self._writer.add_done_callback(_seen)
        return self._writer

    async def _write(self) -> None:
        try:
            while batch := self._queue:
                self._queue = []
                try:
                    results = await asyncio.to_thread(self._book, [waiting.entry for waiting in batch])
                except BaseException as error:
                    self._fail(batch, error)
                    raise
                for waiting, refused in zip(batch, results, strict=True):
                    if waiting.answer is not None and not waiting.answer.done():
                        waiting.answer.set_result(refused)
        finally:
            self._writer = None

    def _fail(self, batch: list[_Waiting], error: BaseException) -> None:
        """Tells all who wait, also those who came since; keeps what is to be settled.

        That is bounded by the requests under way: none that costs money is let in meanwhile.
        """
        everything = batch + self._queue
        self._queue = [waiting for waiting in everything if waiting.answer is None]
        told = error if isinstance(error, ZoranError) else ZoranError("The ledger of budgets failed.")
        for waiting in everything:
            if waiting.answer is not None and not waiting.answer.done():
                waiting.answer.set_exception(told)


def _seen(writer: asyncio.Task[None]) -> None:
    """Those who wait have the error through their own answers; asyncio need not report it again."""
    if not writer.cancelled():
        writer.exception()
