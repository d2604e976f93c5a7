"""A verifier that is a function of the caller's or the operator's, in this process."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from inspect import isawaitable, signature
from typing import Any

from zoran_ray.errors import InvalidRequest, Overloaded
from zoran_ray.reasoning.verifier import Verdict

Judgement = bool | Verdict
Judge = Judgement | Awaitable[Judgement]

MOST_LEFT_BEHIND = 8
"""Threads of one verifier that may be running at once unless more are wanted."""


class UserSupplied:
    """Judges with a function. A coroutine function runs here, any other in a thread of its own.

    A thread cannot be ended: one that hangs is left behind, and with as many as there may be the verifier
    judges no more.

    Args:
        function: Gives a verdict, or whether the answer is right.
        name: In traces.
        threads: Most threads at once, those that hang among them.
    """

    def __init__(
        self, function: Callable[..., Judge], name: str = "user", threads: int = MOST_LEFT_BEHIND
    ) -> None:
        self._function = function
        self._room = threading.BoundedSemaphore(threads)
        self._name = name

    def given(self, arguments: Mapping[str, Any]) -> "UserSupplied":
        """The same with keyword arguments for the function; threads of both are counted together.

        Raises:
            InvalidRequest: The function does not take them.
        """
        try:
            signature(self._function).bind("", **arguments)
        except (TypeError, ValueError):
            raise InvalidRequest(
                f"The verifier '{self._name}' takes other arguments, or needs some.", param="arguments"
            ) from None
        bound = UserSupplied(partial(self._function, **arguments), self._name)
        bound._room = self._room
        return bound

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

    async def _in_thread(self, answer: str) -> Judge:
        if not self._room.acquire(blocking=False):
            raise Overloaded("The verifier hangs: mend the function. It is not asked any more.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Judge] = loop.create_future()

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
    future: "asyncio.Future[Judge]",
    *,
    said: Judge = False,
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
