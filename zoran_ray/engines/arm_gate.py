"""How many requests one arm gets at once, and who waits for a place. Knows no transport.

First come, first served; the queue is bounded, and one request too many is told so at once.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from zoran_ray.errors import DeadlineExceeded, Overloaded

_FIRST_GUESS_S = 1.0
_SMOOTHING = 0.1
_LEAST_RETRY_S = 0.1
_MOST_RETRY_S = 60.0


class ArmGate:
    """The places of one arm at one gateway, for one event loop.

    Args:
        arm: Its name, for messages.
        max_concurrency: Requests under way at once, at least 1.
        max_queued: Requests that may wait for a place.
        clock: Monotonic seconds; the deadlines of `place` are on it.
    """

    def __init__(
        self,
        arm: str,
        max_concurrency: int,
        max_queued: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._arm = arm
        self._most = max_concurrency
        self._most_queued = max_queued
        self._clock = clock
        self._queue: deque[asyncio.Future[None]] = deque()
        self._held_s = _FIRST_GUESS_S  # how long a place is held, smoothed
        self.held = 0
        """Places taken."""

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self._queue)

    def resize(self, max_concurrency: int, max_queued: int) -> None:
        """Takes over new limits; nobody who is in or waits is sent away."""
        self._most = max_concurrency
        self._most_queued = max_queued
        self._call_next()

    @asynccontextmanager
    async def place(self, deadline: float) -> AsyncIterator[None]:
        """A place for one request, until it is over.

        Args:
            deadline: When the whole request must be over, in seconds of `clock`.

        Raises:
            Overloaded: Too many wait already.
            DeadlineExceeded: No place came free in time.
        """
        await self._enter(deadline)
        began = self._clock()
        try:
            yield
        finally:
            self._held_s += _SMOOTHING * (self._clock() - began - self._held_s)
            self._leave()

    async def _enter(self, deadline: float) -> None:
        left_s = deadline - self._clock()
        if not left_s > 0:  # NaN too
            raise self._too_late()
        if self.held < self._most:  # then nobody waits: places are given as soon as they are free
            self.held += 1
            return
        if len(self._queue) >= self._most_queued:
            raise Overloaded(
                f"'{self._arm}' has all its places taken and {len(self._queue)} requests waiting; try again"
                " shortly.",
                retry_after_s=self._retry_s(),
            )
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(left_s):
                await turn
        except BaseException as error:
            self._withdraw(turn)
            if isinstance(error, TimeoutError):
                raise self._too_late() from None
            raise

    def _withdraw(self, turn: asyncio.Future[None]) -> None:
        """Whoever will not come gives up the place, even one that was given a moment ago."""
        if turn.done() and not turn.cancelled():
            self._leave()
        elif turn in self._queue:
            self._queue.remove(turn)

    def _leave(self) -> None:
        self.held -= 1
        self._call_next()

    def _call_next(self) -> None:
        # The place is counted when it is given, not when its taker wakes: nobody can slip in between.
        while self._queue and self.held < self._most:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                self.held += 1

    def _retry_s(self) -> float:
        """When a place may be free: how long it takes to work off the queue."""
        wait_s = self._held_s * (len(self._queue) + 1) / self._most
        return min(max(wait_s, _LEAST_RETRY_S), _MOST_RETRY_S)

    def _too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"'{self._arm}' had no place free before the request's deadline; try again shortly.",
            retry_after_s=self._retry_s(),
        )
