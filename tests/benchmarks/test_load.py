"""The load generator against the no-op back end, and against servers that break their word."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import ANY

import pytest

from benchmarks.serving.bench import chat_body, run_load
from benchmarks.serving.load import Generator, Job
from benchmarks.serving.noop import serve

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CHAT = "/v1/chat/completions"


@asynccontextmanager
async def noop() -> AsyncIterator[str]:
    server = await serve("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{CHAT}"
    finally:
        server.close()


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """Sends `answer` to every request and hangs up."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{CHAT}"
    finally:
        server.close()


async def figures(url: str, *, stream: bool, **changes: Any) -> dict[str, Any]:
    job = {
        "url": url,
        "body": chat_body("m", stream=stream),
        "concurrency": 2,
        "warmup_s": 0,
        "seconds": 10,
    }
    return await Generator(
        Job.model_validate({**job, "requests": 20, "expect_tokens": 64, **changes})
    ).run()


async def test_plain_answers_are_counted() -> None:
    async with noop() as url:
        found = await figures(url, stream=False)
    assert (found["requests"], found["errors"], found["events"]) == (20, 0, 0)
    assert found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]
    assert found["tokens_per_s"] == pytest.approx(64 * found["requests_per_s"])


async def test_streams_are_counted_by_event_and_token() -> None:
    async with noop() as url:
        found = await figures(url, stream=True)
    assert (found["requests"], found["errors"]) == (20, 0)
    # Role, 64 words, finish, usage; another stream may be under way when the window closes.
    assert 20 * 67 <= found["events"] <= 21 * 67
    assert found["tokens_per_s"] == pytest.approx(found["events_per_s"] * 64 / 67)


async def test_cpu_seconds_are_reported_for_every_group() -> None:
    async with noop() as url:
        found = await figures(url, stream=False, watch={"backend": [os.getpid()], "gone": [2**22 + 1]})
    assert found["cpu_s"].keys() == {"backend", "gone", "generator"}
    assert found["cpu_s"]["gone"] == 0


@pytest.mark.parametrize(
    ("answer", "stream", "kind"),
    [
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfull", False, "status 503"),
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfull", True, "status 503"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{}", False, "connection lost"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", False, "None of 64 tokens"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\ndata: {}\n\n", True, "truncated stream"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\ndata: {}\n\n\r\n",
            True,
            "connection lost",
        ),
        (b'HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\ndata: {"error": {}}\n\n', True, "error event"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", False, "connection lost"),
    ],
)
async def test_every_broken_promise_is_an_error(answer: bytes, stream: bool, kind: str) -> None:
    async with answering(answer) as url:
        found = await figures(url, stream=stream, seconds=0.2)
    assert found["requests"] == 0
    assert found["errors"] == found["error_kinds"][kind] > 0
    assert found["error_answers"][kind] == ("full" if kind == "status 503" else ANY)


async def test_nobody_there_is_an_error() -> None:
    async with noop() as url:
        pass
    found = await figures(url, stream=False, seconds=0.2)
    assert set(found["error_kinds"]) == {"connection refused"}


async def test_too_slow_is_an_error() -> None:
    body = chat_body("m", stream=True)
    body["messages"][0]["content"] = "chunks=64 interval_ms=5000"
    async with noop() as url:
        found = await figures(url, stream=True, body=body, timeout_s=0.1, seconds=0.4)
    assert set(found["error_kinds"]) == {"timeout"}


async def test_the_window_waits_for_slow_answers() -> None:
    body = chat_body("m", stream=True)
    body["messages"][0]["content"] = "chunks=64 interval_ms=2"
    async with noop() as url:
        found = await figures(url, stream=True, body=body, requests=None, seconds=0.01, at_least=2)
    assert found["requests"] >= 2


async def test_every_request_is_a_conversation_of_its_own() -> None:
    seen: list[Any] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        seen.append(json.loads(await reader.readexactly(length))["messages"][0]["content"])
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 24\r\n\r\n{"completion_tokens": 64}')
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found = await figures(f"http://127.0.0.1:{port}{CHAT}", stream=False, requests=5)
    server.close()
    assert found["requests"] == 5
    assert len(set(seen)) == len(seen) >= 5


async def test_the_command_takes_a_job_and_prints_figures() -> None:
    async with noop() as url:
        job = {
            "url": url,
            "body": chat_body("m", stream=True),
            "concurrency": 1,
            "requests": 3,
            "warmup_s": 0,
        }
        found = await asyncio.to_thread(run_load, job, 60.0)
    assert (found["requests"], found["errors"]) == (3, 0)


def test_a_failing_generator_says_why() -> None:
    with pytest.raises(OSError, match="concurrency"):
        run_load({"url": "http://127.0.0.1:1/", "body": {}}, 60.0)
