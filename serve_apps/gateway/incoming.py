"""A request as it comes in: its id, its headers, its body within limits of size and time."""

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from zoran_ray.batch.turn import TURN_HEADER, WAITS
from zoran_ray.errors import BodyTooLarge, InvalidRequest

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

KEY_ID = "zoran.key_id"
"""Member of a scope that no server makes."""

_TURN, _WAITS = TURN_HEADER.encode(), WAITS.encode()
_TRACE_CONTEXT = (b"traceparent", b"tracestate")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}\Z")


class Incoming:
    """Head of one HTTP request. Header names are lower case; the first of equal names counts.

    The path is the one of the request line (`scope["path"]`), never one derived from `Host`.

    Attributes:
        key_id: Key in whose name this cluster itself asks; None for everybody who comes over HTTP, which
            cannot set it. See `inside`.
        can_wait: Whether it says that all others go first.
    """

    __slots__ = ("can_wait", "headers", "key_id", "method", "path", "request_id")

    def __init__(self, scope: Scope) -> None:
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, value)
        self.headers = headers
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.key_id: str | None = scope.get(KEY_ID)
        self.can_wait = headers.get(_TURN) == _WAITS
        given = headers.get(b"x-request-id", b"")
        self.request_id = given.decode() if _REQUEST_ID.match(given) else f"req-{uuid.uuid4().hex}"

    def trace_context(self) -> dict[str, str]:
        """The caller's W3C trace context, if it sent one."""
        sent = ((name, self.headers.get(name)) for name in _TRACE_CONTEXT)
        return {name.decode(): value.decode("latin-1") for name, value in sent if value}

    async def body(self, receive: Receive, *, most: int, timeout_s: float) -> bytes:
        """The body, at most `most` bytes within `timeout_s` seconds.

        Raises:
            BodyTooLarge: It is larger.
            InvalidRequest: It did not arrive in time, or the client went away.
        """
        declared = self.headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > most:
            raise _too_large(most)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise InvalidRequest("The client went away before its request was complete.")
                    parts.append(message.get("body", b""))
                    if (size := size + len(parts[-1])) > most:
                        raise _too_large(most)
                    if not message.get("more_body", False):
                        return parts[0] if len(parts) == 1 else b"".join(parts)
        except TimeoutError:
            raise InvalidRequest(f"The request body did not arrive within {timeout_s:g} s.") from None


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"The request body is larger than {most} bytes, the limit of this server.")
