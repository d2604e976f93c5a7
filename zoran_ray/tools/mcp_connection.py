"""One connection to an MCP server, opened and closed by one task. Knows no tools."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from mcp import Client

from zoran_ray.errors import DeadlineExceeded, ZoranError

# The SDK logs messages that it cannot read, whole: they are a stranger's, and may hold what a user said.
logging.getLogger("mcp").setLevel(logging.CRITICAL)

Transport = Callable[[], AbstractAsyncContextManager[Any]]
"""Makes a connection: see `stdio_transport` and `http_transport`."""


class Connection:
    """One connection, opened and closed by one task, as the SDK's scopes want it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._leave = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self._inbox: Any = None

    @property
    def client(self) -> Client:
        assert self._client is not None
        return self._client

    @property
    def is_over(self) -> bool:
        """Whether nothing will come from the server any more."""
        if self._task is None or self._task.done():
            return True
        told = getattr(self._inbox, "statistics", None)
        return told is not None and told().open_send_streams == 0

    async def open(self, most_s: float) -> None:
        """Raises: Exception: Whatever came of it. DeadlineExceeded: Nothing did."""
        ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._own(ready))
        try:
            done, _ = await asyncio.wait({ready}, timeout=most_s)
        except asyncio.CancelledError:
            await self.close()
            raise
        if not done:
            await self.close()
            raise DeadlineExceeded(f"The MCP server was not ready within {most_s:g} s. Check its command.")
        self._client = ready.result()

    async def close(self) -> None:
        self._leave.set()
        task = self._task
        if task is None:
            return
        if self._client is None:
            task.cancel()
        with suppress(Exception, asyncio.CancelledError):
            await asyncio.shield(task)

    async def _own(self, ready: "asyncio.Future[Client]") -> None:
        try:
            async with Client(self._watched(), cache=None) as client:
                ready.set_result(client)
                await self._leave.wait()
        except Exception as error:
            if not ready.done():
                ready.set_exception(_first(error))
        finally:
            ready.cancel()

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[Any]:
        async with self._transport() as streams:
            self._inbox = streams[0]
            yield streams


def _first(error: Exception) -> Exception:
    """The error of ours within what a task group makes of it; itself where there is none."""
    if isinstance(error, ExceptionGroup):
        inner = [_first(each) for each in error.exceptions]
        return next((each for each in inner if isinstance(each, ZoranError)), inner[0])
    return error
