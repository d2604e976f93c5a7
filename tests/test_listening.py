"""A burst of connections is accepted in a few rounds of uvloop's loop, and all are served."""

import asyncio
import socket

import pytest
import uvicorn
import uvloop

from zoran_ray.listening import accept_in_groups, handles

BURST = 96


async def rounds_until_all_are_in(count: int) -> int:
    """Rounds of the loop until a burst of connections is accepted through `count` handles."""
    accepted: list[asyncio.BaseTransport] = []

    class Counting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.append(transport)

    loop = asyncio.get_running_loop()
    listening = socket.create_server(("127.0.0.1", 0), backlog=2 * BURST)
    servers = [await loop.create_server(Counting, sock=handle) for handle in handles(listening, count)]
    clients = [socket.create_connection(listening.getsockname()) for _ in range(BURST)]
    rounds = 0
    while len(accepted) < BURST:
        rounds += 1
        await asyncio.sleep(0)
    for end in (*clients, *accepted, *servers):
        end.close()
    return rounds


def in_uvloop(count: int) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(rounds_until_all_are_in(count))


def test_more_handles_are_fewer_rounds() -> None:
    assert in_uvloop(32) <= 10 < in_uvloop(1)


async def test_uvicorn_listens_on_all_handles(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[socket.socket]] = []

    async def serve(self: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        seen.append(sockets or [])

    monkeypatch.setattr(uvicorn.Server, "serve", serve)
    accept_in_groups()
    accept_in_groups()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        await uvicorn.Server(uvicorn.Config("nothing")).serve(sockets=[listening])
        (given,) = seen
        assert len(given) == 32
        assert {s.getsockname() for s in given} == {listening.getsockname()}
        for duplicate in given[1:]:
            duplicate.close()
