"""One thread that does what a shard is asked, in turn; what comes meanwhile waits for the disk together."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from zoran_ray.errors import Overloaded, Unavailable

MOST_WAITING = 1024
_AT_ONCE = 64

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Job:
    """One thing to do.

    Attributes:
        do: Runs in the thread.
        done: Called on the event loop with its result, in the order in which jobs were done.
        answer: Its result.
    """

    do: Callable[[], Any]
    done: Callable[[Any], Any]
    answer: asyncio.Future[Any]


class Jobs:
    """The queue of one shard.

    Args:
        settle: Runs in the thread after some jobs and before anybody hears of their results.
    """

    def __init__(self, settle: Callable[[], None]) -> None:
        self._settle = settle
        self._thread = ThreadPoolExecutor(1, "memory-shard")
        self._waiting: deque[Job] = deque()
        self._working: asyncio.Task[None] | None = None
        self._closed = False

    async def run(self, do: Callable[[], T], done: Callable[[T], Any] = lambda result: result) -> Any:
        """Does one thing in turn. Returns: What `done` made of its result.

        Raises:
            Overloaded: Too many wait; nothing was done.
            Unavailable: It is closed.
        """
        if self._closed:
            raise Unavailable("This shard of the memory is being closed.", retry_after_s=1.0)
        if len(self._waiting) >= MOST_WAITING:
            raise Overloaded("Too many wait for this shard of the memory.", retry_after_s=1.0)
        job = Job(do, done, asyncio.get_running_loop().create_future())
        job.answer.add_done_callback(_retrieve)  # whoever waited may have left
        self._waiting.append(job)
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await asyncio.shield(job.answer)

    async def close(self, last: Callable[[], None]) -> None:
        """Does what waits, then `last`; nothing new is taken."""
        self._closed = True
        if self._working is not None:
            await asyncio.shield(self._working)
        await asyncio.get_running_loop().run_in_executor(self._thread, last)
        self._thread.shutdown()

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            results = await loop.run_in_executor(self._thread, self._do, some)
            for job, (result, error) in zip(some, results, strict=True):
                _answer(job, result, error)
        self._working = None

    def _do(self, jobs: list[Job]) -> list[tuple[Any, Exception | None]]:
        results: list[tuple[Any, Exception | None]] = []
        for job in jobs:
            try:
                results.append((job.do(), None))
            except Exception as error:
                results.append((None, error))
        try:
            self._settle()
        except Exception as error:
            return [(None, own or error) for _, own in results]
        return results


def _answer(job: Job, result: Any, error: Exception | None) -> None:
    try:
        if error is not None:
            raise error
        job.answer.set_result(job.done(result))
    except Exception as failure:  # one job's failure is not that of those behind it
        job.answer.set_exception(failure)


def _retrieve(answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled():
        answer.exception()
