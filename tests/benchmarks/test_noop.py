import asyncio
import json
from typing import Any

import httpx
import pytest

from benchmarks.serving.noop import serve


@pytest.fixture
async def client() -> Any:
    server = await serve("127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        yield client
    server.close()


def question(content: str, **more: Any) -> dict[str, Any]:
    return {"model": "m/x", "messages": [{"role": "user", "content": content}], **more}


async def test_small_pages(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health")).status_code == 200
    assert (await client.get("/v1/models")).json()["data"][0]["id"] == "noop"
    assert (await client.get("/nothing")).status_code == 404


async def test_a_plain_answer(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/v1/chat/completions", json=question("chunks=5"))).json()
    assert answer["model"] == "m/x"
    assert len(answer["choices"][0]["message"]["content"].split()) == 5
    assert answer["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize("interval_ms", [0, 1])
async def test_a_stream_is_whole_and_valid(client: httpx.AsyncClient, interval_ms: int) -> None:
    body = question(
        f"chunks=7 interval_ms={interval_ms}", stream=True, stream_options={"include_usage": True}
    )
    answer = await client.post("/v1/chat/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.removesuffix("\n\n").split("\n\n")
    assert events.pop() == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])
    assert len(text.split()) == 7
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == 7


async def test_usage_only_when_asked(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/chat/completions", json=question("chunks=2", stream=True))
    assert "usage" not in answer.text


async def test_a_reader_that_leaves_ends_the_stream(client: httpx.AsyncClient) -> None:
    body = question("chunks=100000 interval_ms=1", stream=True)
    async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        await anext(answer.aiter_lines())
    async with asyncio.timeout(5):
        assert (await client.get("/health")).status_code == 200
