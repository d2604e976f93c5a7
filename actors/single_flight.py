"""A question that may block, asked outside of the event loop. Knows nothing of Ray."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Asks in a thread of its own, one at a time: who asks meanwhile shares the answer.

    Not in the loop's pool, which a question that hangs would fill, and which each exit waits for.

    Args:
        ask: The question.
    """

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._under_way: Future[T] | None = None

    async def answer(self) -> T:
        """The answer. Who stops waiting for it stops nobody else. Raises: What `ask` raises."""
        return await asyncio.wrap_future(self._begun())

    def _begun(self) -> "Future[T]":
        with self._lock:
            if self._under_way is not None:
                return self._under_way
            begun = self._under_way = Future()
        # From now on a caller's cancellation does not reach it.
        begun.set_running_or_notify_cancel()
        threading.Thread(target=self._run, args=(begun,), daemon=True).start()
        return begun

    def _run(self, begun: "Future[T]") -> None:
        try:
            answer = self._ask()
        except BaseException as failure:
            self._under_way = None
            begun.set_exception(failure)
        else:
            self._under_way = None
            begun.set_result(answer)
