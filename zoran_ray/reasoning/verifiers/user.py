"""A verifier that is a function of the caller's, in the caller's own process."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from inspect import isawaitable

from zoran_ray.errors import Overloaded
from zoran_ray.reasoning.verifier import Verdict

Judgement = bool | Verdict

MOST_LEFT_BEHIND = 8
"""Threads of one verifier that may be running at once, those that hang among them."""


class UserSupplied:
    """Judges with a function. A coroutine function runs here, any other in a thread of its own.

    A thread cannot be ended: one that hangs is left behind, and with `MOST_LEFT_BEHIND` of them the
    verifier judges no more.

    Args:
        function: Gives a verdict, or whether the answer is right.
        name: In traces.
    """

    def __init__(
        self, function: Callable[[str], Judgement | Awaitable[Judgement]], name: str = "user"
    ) -> None:
        self._function = function
        self._room = threading.BoundedSemaphore(MOST_LEFT_BEHIND)
        self._name = name

    @property
    def name(self) -> str:
        """In traces."""
        return self._name

    async def __call__(self, answer: str) -> Verdict:
        """Judges an answer.

        Raises:
            Overloaded: Too many threads hang already.
            Exception: Whatever the function raises.
        """
        if asyncio.iscoroutinefunction(self._function):
            return _verdict(await self._function(answer))
        said = await self._in_thread(answer)
        return _verdict(await said if isawaitable(said) else said)

    async def _in_thread(self, answer: str) -> Judgement | Awaitable[Judgement]:
        if not self._room.acquire(blocking=False):
            raise Overloaded("The verifier hangs: mend the function. It is not asked any more.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Judgement | Awaitable[Judgement]] = loop.create_future()

        def run() -> None:
            try:
                said = self._function(answer)
            except BaseException as error:
                _tell(loop, future, error=error)
            else:
                _tell(loop, future, said=said)
            finally:
                self._room.release()

        # Not the loop's own pool: the end of the process waits for it, and a thread may hang for ever.
        threading.Thread(target=run, daemon=True, name="zoran-verifier").start()
        return await future


def _tell(
    loop: asyncio.AbstractEventLoop,
    future: "asyncio.Future[Judgement | Awaitable[Judgement]]",
    *,
    said: Judgement | Awaitable[Judgement] = False,
    error: BaseException | None = None,
) -> None:
    def settle() -> None:
        if future.done():
            return
        if error is None:
            future.set_result(said)
        else:
            # A future takes neither StopIteration nor what ends a process.
            future.set_exception(RuntimeError(f"the verifier raised {type(error).__name__}"))

    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)


def _verdict(said: Judgement) -> Verdict:
    if isinstance(said, Verdict):
        return said
    if isinstance(said, bool):
        return Verdict(said, score=float(said))
    raise TypeError("a verifier gives a Verdict or a bool")
