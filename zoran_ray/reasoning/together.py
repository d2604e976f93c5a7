"""Calls that run at the same time: given as they end, cancelled when nobody needs them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

from zoran_ray.errors import ZoranError
from zoran_ray.reasoning.budget import BudgetSpent
from zoran_ray.reasoning.strategy import Answer, spent

T = TypeVar("T")
Trouble = BudgetSpent | ZoranError


class Together(Generic[T]):
    """Runs work at the same time and gives results as they come, in an `async with` block.

    Whatever still runs at the end of the block is cancelled and waited for: nothing is asked afterwards.
    Work that fails gives no result. After the first failure for want of budget nothing more is begun; other
    work of it that runs goes on, for it is paid already.

    Args:
        work: What to do.
        at_once: How much of it runs at the same time.

    Attributes:
        trouble: The first failure.
    """

    def __init__(self, work: Iterable[Callable[[], Awaitable[T]]], at_once: int = 64) -> None:
        self._waiting = deque(work)
        self._at_once = at_once
        self._running: list[asyncio.Task[T]] = []
        self._ended: deque[asyncio.Task[T]] = deque()
        self.trouble: Trouble | None = None

    @property
    def left(self) -> int:
        """How many results may still come."""
        return len(self._waiting) + len(self._running) + len(self._ended)

    async def __aenter__(self) -> "Together[T]":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._waiting.clear()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, *self._ended, return_exceptions=True)

    def __aiter__(self) -> "Together[T]":
        return self

    async def __anext__(self) -> T:
        while True:
            self._begin()
            if not self._ended and not self._running:
                raise StopAsyncIteration
            if not self._ended:
                await self._some_end()
            task = self._ended.popleft()
            error = task.exception()
            if error is None:
                return task.result()
            if not isinstance(error, Trouble):
                raise error
            self.trouble = self.trouble or error
            if isinstance(error, BudgetSpent):
                self._waiting.clear()

    def _begin(self) -> None:
        while self._waiting and len(self._running) < self._at_once:
            self._running.append(asyncio.ensure_future(self._waiting.popleft()()))

    async def _some_end(self) -> None:
        done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        self._ended.extend(task for task in self._running if task in done)
        self._running = [task for task in self._running if task not in done]


def why(trouble: Trouble) -> str:
    """`Answer.ended` of a strategy that could not go on: `budget:tokens`, `error:upstream_error`, …"""
    return spent(trouble) if isinstance(trouble, BudgetSpent) else f"error:{trouble.code}"


def unanswered(trouble: Trouble | None) -> Answer:
    """The end of a strategy that has no answer at all.

    Raises:
        ZoranError: The model's own failure. A budget that is used up is no error, here as everywhere.
    """
    if isinstance(trouble, ZoranError):
        raise trouble
    return Answer("", ended="empty" if trouble is None else why(trouble))
