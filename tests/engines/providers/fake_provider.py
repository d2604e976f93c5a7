"""A provider as a real HTTP/1.1 server on loopback: it says what a `Speech` says, or what a test wants.

What it does as the real ones do: the shape of every body, header and event, the key it checks, the members
it refuses or ignores, chunked transfer. What it does not do: TLS and HTTP/2, a CDN in front, a pace of
tokens, rate limits of its own, tools or pictures it understands, any model. Bodies were written from the
providers' public documentation, not recorded; a member that no test needs may be missing from them.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from tests.engines.providers.speeches import Said, Speech

Step = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """One request, as the provider got it."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class FakeProvider:
    """Each request gets the next scripted step; without one, what the speech has for it.

    Attributes:
        aborted: Set once a client hung up on an answer under way.
        connections: Clients' addresses, in order; the same one twice is a connection used again.
    """

    def __init__(self, speech: Speech, key: str | None = None) -> None:
        self.speech = speech
        self.key = key
        self.requests: list[Seen] = []
        self.connections: list[Any] = []
        self.asked, self.aborted = asyncio.Event(), asyncio.Event()
        self._script: list[Step] = []

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def will(self, *steps: Step) -> Self:
        self._script = list(steps)
        return self

    @property
    def sent(self) -> Any:
        """The body of the last request."""
        return self.requests[-1].json

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(request.path, request.headers.copy(), await request.read(), request.method)
        self.requests.append(seen)
        self.connections.append(request.transport and request.transport.get_extra_info("peername"))
        self.asked.set()
        try:
            if self._script:
                return await self._script.pop(0)(request)
            return await self._naturally(request, seen)
        except (asyncio.CancelledError, ConnectionError):
            self.aborted.set()
            raise

    async def _naturally(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        if self.key is not None and seen.headers.get("Authorization") != f"Bearer {self.key}":
            return await says(self.speech.bad_key(self.key))(request)
        if seen.method == "GET":
            return await says(self.speech.listed(seen.path))(request)
        said = self.speech.answer(seen.path, seen.json)
        if isinstance(said, Said):
            return await says(said)(request)
        return await stream(*said)(request)


# -- steps ---------------------------------------------------------------------------------------


def says(said: Said) -> Step:
    """A complete answer."""

    async def step(request: web.Request) -> web.StreamResponse:
        headers = {"content-type": "application/json", **said.headers}
        body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
        return web.Response(status=said.status, headers=headers, body=body)

    return step


def html(status: int = 200) -> Step:
    """What a proxy or a captive portal answers."""
    page = b"<!doctype html><title>Welcome</title>"
    return says(Said(page, status, {"content-type": "text/html; charset=utf-8"}))


def stream(
    *pieces: bytes,
    then: str | asyncio.Event = "end",
    kind: str = "text/event-stream",
    status: int = 200,
) -> Step:
    """A body in these network chunks; `then` it ends, is `cut` (closed without its end), or hangs (`hold`).

    With an event instead the connection is reset when that is set: earlier, it could overtake the pieces.
    """

    async def step(request: web.Request) -> web.StreamResponse:
        headers = {"content-type": kind, "cache-control": "no-cache"}
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0.002)  # so that it arrives as a piece of its own
        if then == "hold":
            await asyncio.Event().wait()
        if then == "cut" and request.transport:
            request.transport.close()
        if isinstance(then, asyncio.Event):
            await then.wait()
            reset(request)
        return response

    return step


def flood(piece: bytes, kind: str = "text/event-stream") -> Step:
    """The same bytes for as long as somebody takes them."""

    async def step(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": kind})
        await response.prepare(request)
        while True:
            await response.write(piece)

    return step


async def hold(request: web.Request) -> web.StreamResponse:
    """No answer until the client hangs up."""
    await asyncio.Event().wait()
    raise AssertionError


async def reset_at_once(request: web.Request) -> web.StreamResponse:
    """The connection is reset before a word was said."""
    reset(request)
    return web.Response()


def reset(request: web.Request) -> None:
    """RST instead of FIN."""
    assert request.transport is not None
    sock = request.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
