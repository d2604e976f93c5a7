"""Part 3: bytes of memory per idle and per streaming connection of the gateway, HAProxy counted apart."""

import asyncio
import json
import resource
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from benchmarks.serving.bench import chat_body
from benchmarks.serving.contender import Endpoint
from benchmarks.serving.http1 import Connection, request_bytes
from benchmarks.serving.processes import usage
from benchmarks.serving.sse import StreamReader

_COUNTED = ("gateway", "haproxy")
_SETTLE_S = 2.0
_DEADLINE_S = 120.0
_AT_ONCE = 16
_Opener = Callable[[Endpoint, list[Connection], list["asyncio.Task[int]"]], Awaitable[None]]
_Seen = TypeVar("_Seen")


def connection_memory(endpoint: Endpoint, connections: int) -> list[dict[str, Any]]:
    """Resident bytes that `connections` idle ones, then as many streaming ones, add to each process group.

    Args:
        endpoint: The gateway.
        connections: How many; a multiple of 16.

    The idle ones have each had an answer before. The streaming ones get a chunk every second meanwhile.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * connections + 256)), hard))
    return asyncio.run(_both(endpoint, connections))


async def _both(endpoint: Endpoint, connections: int) -> list[dict[str, Any]]:
    await _held(endpoint, _AT_ONCE, _stream, lambda: None)  # imports and pools that any first stream brings
    found = []
    for state, open_one in (("idle", _idle), ("streaming", _stream)):
        await asyncio.sleep(_SETTLE_S)
        before = _rss(endpoint)
        after = await _held(endpoint, connections, open_one, lambda: _rss(endpoint))
        each = {label: (after[label] - before[label]) / connections for label in before}
        found.append({"state": state, "connections": connections, "bytes_each": each})
    return found


def _rss(endpoint: Endpoint) -> dict[str, int]:
    groups = {label: pids for label, pids in endpoint.groups().items() if label in _COUNTED}
    return {label: sum(use.rss_bytes for use in usage(pids)) for label, pids in groups.items()}


async def _held(
    endpoint: Endpoint, connections: int, open_one: _Opener, look: Callable[[], _Seen]
) -> _Seen:
    """What `look` returns while `connections` are open."""
    held: list[Connection] = []
    answers: list[asyncio.Task[int]] = []
    try:
        async with asyncio.timeout(_DEADLINE_S):
            for _ in range(0, connections, _AT_ONCE):
                await asyncio.gather(*(open_one(endpoint, held, answers) for _ in range(_AT_ONCE)))
            await asyncio.sleep(_SETTLE_S)
        return look()
    finally:
        for connection in held:
            connection.close()
        await asyncio.gather(*answers, return_exceptions=True)


async def _idle(endpoint: Endpoint, held: list[Connection], answers: list[asyncio.Task[int]]) -> None:
    """Open a connection that has had an answer; it has none under way, so `answers` stays as it is."""
    held.append(connection := await Connection.open(endpoint.base_url))
    request = request_bytes(f"{endpoint.base_url}/health", endpoint.headers, b"")
    status = await connection.exchange(request, lambda body: None, _DEADLINE_S)
    if status != 200:
        raise ConnectionError(f"/health answered {status}")


async def _stream(endpoint: Endpoint, held: list[Connection], answers: list[asyncio.Task[int]]) -> None:
    """Open a connection with a running answer whose first text has come."""
    body = chat_body(endpoint.model, stream=True)
    body["messages"][0]["content"] = "chunks=1000 interval_ms=1000"
    reader, begun, loop = StreamReader(), asyncio.Event(), asyncio.get_running_loop()

    def take(piece: bytes) -> None:
        reader.feed(piece, loop.time())
        if reader.first_text_s is not None:
            begun.set()

    held.append(connection := await Connection.open(endpoint.base_url))
    request = request_bytes(endpoint.chat, endpoint.headers, json.dumps(body).encode())
    answer = asyncio.create_task(connection.exchange(request, take, 10 * _DEADLINE_S))
    answers.append(answer)
    waiting = asyncio.create_task(begun.wait())
    await asyncio.wait([answer, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if answer.done():
        raise ConnectionError(
            f"a stream ended before its first text: {answer.exception() or answer.result()}"
        )
