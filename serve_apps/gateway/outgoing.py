"""An answer on its way out: headers once, chunks as they come, an error wherever it strikes."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from serve_apps.gateway.incoming import Incoming, Send
from zoran_ray.errors import ZoranError
from zoran_ray.wire import Dialect, Usage, answer, event

Header = tuple[bytes, bytes]


class Rewriting(Protocol):
    """What an answer goes through where it may not go out as it comes."""

    headers: list[Header]

    async def whole(self, content_type: bytes, data: bytes) -> bytes:
        """A complete body, changed."""

    async def chunk(self, data: bytes) -> bytes:
        """The next bytes of a stream; none where they wait for more."""

    async def rest(self) -> bytes:
        """What still waits at the stream's end."""


class Outgoing:
    """What one client gets. Remembers how far it came, for the account.

    Attributes:
        status: HTTP status sent, 0 while none was.
        sent_bytes: Body bytes handed to the connection.
        blocked_since: Monotonic seconds since when the client has not taken a chunk, 0 if it does.
        ttft_s: Seconds from `started` to the first body byte of a stream.
        tell: Gives the headers that are known only when the answer begins.
        rewriting: What the answer goes through; None lets its bytes pass as they are.
        subject: Whom the request says it is about; empty where it does not.
        tap: Gets the body's bytes too, as they go out; must not take its time.
    """

    __slots__ = (
        "_incoming",
        "_send",
        "blocked_since",
        "headers",
        "rewriting",
        "sent_bytes",
        "started",
        "status",
        "subject",
        "tap",
        "task",
        "tell",
        "ttft_s",
    )

    def __init__(self, send: Send, incoming: Incoming) -> None:
        self._send = send
        self._incoming = incoming
        # `x-request-id` is not among them: Serve's ingress adds it to every response. Neither is it taken
        # from an error's headers, nor `request-id`, which is here where the dialect has it.
        self.headers: list[Header] = []
        self.started = time.perf_counter()
        self.status = 0
        self.sent_bytes = 0
        self.blocked_since = 0.0
        self.ttft_s: float | None = None
        self.task = asyncio.current_task()
        self.tell: Callable[[], list[Header]] = list
        self.rewriting: Rewriting | None = None
        self.subject = ""
        self.tap: Callable[[bytes], None] | None = None

    async def whole(
        self, status: int, content_type: bytes, body: bytes, headers: Iterable[Header] = ()
    ) -> None:
        """Send a complete answer."""
        if self.rewriting is not None:
            body = await self.rewriting.whole(content_type, body)
        own = (b"content-type", content_type), (b"content-length", b"%d" % len(body))
        await self._start(status, [*own, *headers])
        await self._chunk(body, more=False)

    async def open_stream(self) -> None:
        """Send the head of an event stream."""
        self.ttft_s = time.perf_counter() - self.started
        await self._start(
            200, [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        )

    async def chunk(self, data: bytes) -> None:
        """Send a part of the stream."""
        if self.rewriting is not None and not (data := await self.rewriting.chunk(data)):
            return
        self.blocked_since = time.monotonic()
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self.blocked_since = 0.0
        self.sent_bytes += len(data)
        if self.tap is not None:
            self.tap(data)

    async def end_stream(self) -> None:
        """Send the end of the stream."""
        if self.rewriting is not None and (rest := await self.rewriting.rest()):
            await self._chunk(rest, more=True)
        await self._chunk(b"", more=False)

    async def fail(
        self, error: ZoranError, dialect: Dialect, events: int = 0, usage: Usage | None = None
    ) -> None:
        """Tell the client: as an error body before the first byte, as an error event after it.

        Args:
            events: How many events of the stream were sent before.
            usage: What they used.
        """
        if self.status:
            await self.chunk(event(error, dialect, sequence_number=events, usage=usage))
            await self.end_stream()
            return
        told = answer(error, dialect=dialect, request_id=self._incoming.request_id, allow=("POST",))
        self.status = told.status
        own = [(n.encode(), v.encode()) for n, v in told.headers.items() if not n.endswith("request-id")]
        await self._start(told.status, [(b"content-length", b"%d" % len(told.body)), *own])
        await self._chunk(told.body, more=False)

    async def _start(self, status: int, headers: list[Header]) -> None:
        self.status = status
        own = self.rewriting.headers if self.rewriting is not None else []
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": headers + self.headers + self.tell() + own,
            }
        )

    async def _chunk(self, data: bytes, *, more: bool) -> None:
        self.blocked_since = time.monotonic()
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
        self.blocked_since = 0.0
        self.sent_bytes += len(data)
        if self.tap is not None:
            self.tap(data)
