"""Asks the lines of one book, many at a time, and hands in what became of them. Knows asyncio alone.

A line counts as done when its book says so, after its answer is on the disk; what was asked and not handed
in when the process ended is asked again. So no line is lost and none stands twice in what is written,
though a model may have been asked twice.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from zoran_ray.batch.lines import Line
from zoran_ray.batch.outcome import Answered, Failed, Outcome
from zoran_ray.batch.threads import in_thread
from zoran_ray.errors import Unavailable, Unreachable, ZoranError

log = logging.getLogger("zoran.batch")

AHEAD = 64
"""Lines that wait for a place, so that none stays empty while the disk works."""
ROOM_S = 0.25
"""How often a line looks for a place that others may have left."""
_DISK_TRIES = 20
_BUSY = frozenset({429, 503})

Ask = Callable[[Line], Awaitable[Outcome]]
"""Asks one line once. Raises: ZoranError: There is no answer; `Unreachable`: there is nobody to ask."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a line."""

    line: Line
    outcome: Outcome


class Book(Protocol):
    """Keeps the lines and what became of them. Called in a thread, by one at a time."""

    def settle(self, done: Sequence[Done], want: int) -> Sequence[Line]:
        """Puts outcomes on the disk, and gives the next lines to ask; fewer than `want` at the end only.

        Raises:
            ZoranError: Nothing was written. `Unavailable` where trying again soon may help.
        """
        ...


class Room(Protocol):
    """Says how many may be asked at a time."""

    def enter(self, line: Line) -> bool:
        """Takes a place, if there is one for this line."""
        ...

    def leave(self, line: Line) -> None:
        """Gives the place back."""
        ...


class Places:
    """So many at a time, whatever they ask."""

    def __init__(self, most: int) -> None:
        self._free = most

    def enter(self, line: Line) -> bool:
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def leave(self, line: Line) -> None:
        self._free += 1


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a line is asked.

    Attributes:
        tries: The first included.
        busy_tries: The same where whoever was asked only has no room now: a rate limit, a restart.
        first_s: Longest wait before the second try, in seconds; doubles with each.
        most_s: Longest wait that is not the server's own wish, in seconds.
        asked_s: Longest wait that a server may wish, in seconds.
    """

    tries: int = 8
    busy_tries: int = 100
    first_s: float = 0.5
    most_s: float = 30.0
    asked_s: float = 300.0


class Runner:
    """One run through a book. Cancelling `run` stops what is asked; what came until then is kept.

    Args:
        book: The lines.
        ask: Asks one.
        room: How many at a time.
        patience: How often.
        sleep: Waits, in seconds.
        rng: Spreads the waits of many lines.
    """

    def __init__(
        self,
        book: Book,
        ask: Ask,
        room: Room,
        *,
        patience: Patience | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self._book = book
        self._ask = ask
        self._room = room
        self._patience = patience or Patience()
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._ready: deque[Line] = deque()
        self._running: dict[asyncio.Task[Outcome], Line] = {}
        self._done: list[Done] = []
        self._woken = asyncio.Event()
        self._more = True
        self._lost: Unreachable | None = None

    async def run(self) -> None:
        """Asks until the book is done.

        Raises:
            ZoranError: The book cannot be written; what it did not take is asked again by another run.
            Unreachable: Nobody answers any more; what was not answered is left for another run.
        """
        try:
            while self._more or self._ready or self._running or self._done:
                if self._lost is not None:
                    raise self._lost
                await self._settle()
                self._start()
                if self._running or self._ready:
                    await self._wait()
        finally:
            await self._stop()

    async def _settle(self) -> None:
        """Hand in what there is and take what follows."""
        want = max(0, AHEAD - len(self._ready)) if self._more else 0
        if not want and not self._done:
            return
        handed, self._done = self._done, []
        try:
            lines = await self._on_disk(handed, want)
        except ZoranError:
            self._done[:0] = handed
            raise
        self._ready.extend(lines)
        self._more = self._more and (not want or len(lines) == want)

    async def _on_disk(self, done: Sequence[Done], want: int) -> Sequence[Line]:
        for attempt in range(_DISK_TRIES):
            try:
                # Not to be left half-way by a cancellation: the next to write would be beside it.
                return await in_thread(self._book.settle, done, want)
            except Unavailable as busy:
                if attempt == _DISK_TRIES - 1:
                    raise
                log.warning("a batch waits for its file: %s", type(busy).__name__)
                await self._sleep(min(0.1 * 2**attempt, 5.0))
        raise AssertionError("the last try returns or raises")

    def _start(self) -> None:
        """Ask as many as there is room for, while there is somebody to ask."""
        while self._lost is None and self._ready and self._room.enter(self._ready[0]):
            line = self._ready.popleft()
            task = asyncio.create_task(self._asked(line))
            self._running[task] = line
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Outcome]) -> None:
        line = self._running.pop(task)
        self._room.leave(line)
        self._woken.set()
        if task.cancelled():
            return
        if isinstance(lost := task.exception(), Unreachable):
            self._lost = lost
            return
        self._done.append(Done(line, task.result()))
        self._start()

    async def _wait(self) -> None:
        """Until an answer is there, or perhaps a place."""
        if not self._done:
            self._woken.clear()
            try:
                async with asyncio.timeout(ROOM_S if self._ready else None):
                    await self._woken.wait()
            except TimeoutError:
                return

    async def _stop(self) -> None:
        """End what is asked, and keep what was answered."""
        self._ready.clear()
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._done:
            done, self._done = self._done, []
            try:
                await in_thread(self._book.settle, done, 0)
            except ZoranError as error:
                log.warning("answers of a batch are asked for again: %s", type(error).__name__)

    # -- one line -------------------------------------------------------------------------------

    async def _asked(self, line: Line) -> Outcome:
        """What becomes of a line, after as many tries as make sense."""
        patience = self._patience
        for attempt in count(1):
            tried = await self._once(line)
            most = patience.busy_tries if tried.busy else patience.tries
            wish_s = tried.wish_s or 0.0
            if not tried.again or attempt >= most or wish_s > patience.asked_s:
                break
            window_s = min(patience.first_s * 2 ** min(attempt - 1, 16), patience.most_s)
            await self._sleep(wish_s + self._rng.uniform(0, window_s))
        if tried.lost is not None:
            raise tried.lost
        return tried.outcome

    async def _once(self, line: Line) -> "_Tried":
        try:
            outcome = await self._ask(line)
        except ZoranError as error:
            lost = error if isinstance(error, Unreachable) else None
            failed = Failed(error.code, error.message)
            return _Tried(
                failed, error.retryable, isinstance(error, Unavailable), error.retry_after_s, lost
            )
        except Exception as bug:
            # Its text may hold a prompt.
            log.error("line %d of a batch: unexpected %s", line.number, type(bug).__name__)
            return _Tried(Failed("internal_error", "The request failed; the server's log says why."))
        if isinstance(outcome, Answered) and outcome.retryable and not outcome.good:
            return _Tried(outcome, True, outcome.status in _BUSY, outcome.retry_after_s)
        return _Tried(outcome)


@dataclass(frozen=True, slots=True)
class _Tried:
    """One try: what came of it, whether another may help, and when it is wished for."""

    outcome: Outcome
    again: bool = False
    busy: bool = False
    wish_s: float | None = None
    lost: Unreachable | None = None
