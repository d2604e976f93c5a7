"""Listening sockets whose connections are accepted in groups. Knows nothing of what is served on them.

uvloop (libuv) accepts one connection of a listening handle each time the loop comes round, asyncio's own
loop all of them. A round of a busy gateway takes 20 ms: the last of 256 clients that come at once would
wait for seconds. Several handles on one socket are as many connections a round.
"""

import socket
from typing import Any

import uvicorn

HANDLES = 32
"""Connections accepted in one round; one that comes alone costs as many empty looks, about 1 µs each."""


def handles(listening: socket.socket, count: int = HANDLES) -> list[socket.socket]:
    """The socket and duplicates of it, `count` in all; they share one queue of connections."""
    return [listening, *(listening.dup() for _ in range(count - 1))]


def accept_in_groups() -> None:
    """Have every uvicorn server of this process accept in groups: Ray Serve starts a replica's own."""
    serve = uvicorn.Server.serve
    if getattr(serve, "accepts_in_groups", False):
        return

    async def serve_on_handles(self: uvicorn.Server, sockets: list[socket.socket] | None = None) -> Any:
        return await serve(self, [h for s in sockets for h in handles(s)] if sockets else None)

    serve_on_handles.accepts_in_groups = True  # type: ignore[attr-defined]
    uvicorn.Server.serve = serve_on_handles  # type: ignore[method-assign]
