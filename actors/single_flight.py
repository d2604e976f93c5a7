"""A question that may block, asked outside of the event loop. Knows nothing of Ray."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from zoran_ray.batch.threads import in_own_thread

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Asks in a thread of its own, one at a time: who asks meanwhile shares the answer.

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
            if self._under_way is None:
                self._under_way = in_own_thread(self._asked, "single-flight")
            return self._under_way

    def _asked(self) -> T:
        try:
            return self._ask()
        finally:
            with self._lock:
                self._under_way = None
