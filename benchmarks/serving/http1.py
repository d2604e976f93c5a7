"""A keep-alive HTTP/1.1 client connection on a raw asyncio.Protocol: one request at a time, nothing else.

aiohttp and httpx spend more per chunk than the gateways we measure. httptools parses, so framing is
checked: an answer that ends before its framing says so is a lost connection, not a short answer.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import urlsplit

import httptools

Sink = Callable[[bytes], None]


def request_bytes(url: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A POST with `body`, or a GET where it is empty."""
    parts = urlsplit(url)
    lines = [f"{'POST' if body else 'GET'} {parts.path or '/'} HTTP/1.1", f"host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection(asyncio.Protocol):
    """One connection; `exchange` sends a request and waits for the end of its answer."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._ended: asyncio.Future[int] | None = None
        self._sink: Sink = _ignore

    @classmethod
    async def open(cls, url: str, timeout_s: float = 10.0) -> "Connection":
        """Connect to the host of `url`.

        Raises:
            OSError: Nobody listens there, or not in time.
        """
        parts = urlsplit(url)
        tls = ssl.create_default_context() if parts.scheme == "https" else None
        port = parts.port or (443 if tls else 80)
        async with asyncio.timeout(timeout_s):
            _, connection = await asyncio.get_running_loop().create_connection(
                cls, parts.hostname or "", port, ssl=tls
            )
        return connection

    @property
    def usable(self) -> bool:
        """Whether another request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes, sink: Sink, timeout_s: float) -> int:
        """Send `request`, give every piece of the answer's body to `sink`, return the status.

        Raises:
            ConnectionError: The connection ended before the answer did.
            TimeoutError: The answer took longer than `timeout_s` seconds; the connection is closed.
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("connection is closed")
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        self._sink = sink
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(request)
        watchdog = loop.call_later(timeout_s, self._time_out)
        try:
            return await self._ended
        finally:
            watchdog.cancel()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of their own class.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionResetError("connection lost before the answer ended"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, AttributeError):
            self._fail(ConnectionResetError("not an HTTP answer"))
            self.close()

    def on_body(self, body: bytes) -> None:
        self._sink(body)

    def on_message_complete(self) -> None:
        assert self._transport is not None
        if not self._parser.should_keep_alive():
            self._transport.close()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(self._parser.get_status_code())

    def _time_out(self) -> None:
        self._fail(TimeoutError("no whole answer in time"))
        self.close()

    def _fail(self, error: Exception) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)


def _ignore(body: bytes) -> None:
    del body
