"""The adapter against a server that speaks Gemini's wire format, faults included."""

import json
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.engines.providers.fake_gemini import (
    MODEL,
    answer,
    blocked,
    candidate,
    encoded,
    error,
    text,
    thought,
)
from tests.engines.providers.fake_provider import FakeProvider, hold, says, stream
from tests.engines.providers.openai_shapes import from_chunks, from_completion, parsed
from tests.engines.providers.speeches import Said, Speech
from zoran_ray.api_key import ApiKey
from zoran_ray.engines.protocol import EngineRequest
from zoran_ray.engines.providers.gemini import GeminiEngine, gemini_connection
from zoran_ray.engines.providers.gemini_answer import gemini_completion
from zoran_ray.errors import (
    DeadlineExceeded,
    InvalidRequest,
    ProviderBusy,
    ProviderRefused,
    UpstreamError,
    ZoranError,
)
from zoran_ray.wire import Endpoint

CANARY = "AIza-canary-5d0c"
PROMPT = "prompt-canary-77"
ANSWER = answer(candidate(thought("Où ?"), text("Il fait 20 °C à Orléans ☀️.")))
EVENTS = encoded(
    [
        answer(candidate(thought("Où ?"), finish=None)),
        answer(candidate(text("Il fait 20 °C"), finish=None)),
        answer(candidate(text(" à Orléans ☀️."))),
    ]
)


@pytest.fixture
async def server() -> AsyncIterator[FakeProvider]:
    async with FakeProvider(Speech()) as server:
        yield server


@pytest.fixture
async def engine(server: FakeProvider) -> AsyncIterator[GeminiEngine]:
    connection = gemini_connection(ApiKey(CANARY, "test"), server.url)
    engine = GeminiEngine(connection, f"models/{MODEL}", now=lambda: 5.0)
    yield engine
    await connection.close()


def request(
    *,
    stream: bool = False,
    endpoint: Endpoint = Endpoint.CHAT_COMPLETIONS,
    patience_s: float = 10.0,
    **more: Any,
) -> EngineRequest:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": PROMPT}]}
    if endpoint is Endpoint.EMBEDDINGS:
        asked = {"input": [PROMPT, "Hi"]}
    document = {"model": "gemini/flash", "stream": stream, **asked, **more}
    return EngineRequest(endpoint, document, "req-1", time.monotonic() + patience_s)


async def whole(engine: GeminiEngine, asked: EngineRequest) -> Any:
    reply = await engine.open(asked)
    try:
        assert not reply.streamed
        return json.loads(await reply.whole())
    finally:
        await reply.close()


async def streamed(engine: GeminiEngine, asked: EngineRequest, into: list[bytes] | None = None) -> bytes:
    reply = await engine.open(asked)
    pieces: list[bytes] = [] if into is None else into
    try:
        assert reply.streamed
        async for piece in reply.chunks():
            assert piece.endswith(b"\n\n")
            pieces.append(piece)
    finally:
        await reply.close()
    return b"".join(pieces)


async def test_a_whole_answer(server: FakeProvider, engine: GeminiEngine) -> None:
    server.will(says(Said(ANSWER, headers={"content-type": "application/json; charset=UTF-8"})))
    assert await whole(engine, request()) == gemini_completion(ANSWER, MODEL, 5)
    (asked,) = server.requests
    assert asked.path == f"/v1/models/{MODEL}:generateContent"
    assert asked.headers["x-goog-api-key"] == CANARY
    assert "authorization" not in asked.headers
    assert asked.json == {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}


INSIDE_A_CHARACTER = EVENTS.index("°".encode()) + 1


@pytest.mark.parametrize("cut", [0, 5, INSIDE_A_CHARACTER, len(EVENTS) - 1])
async def test_a_streamed_answer(server: FakeProvider, engine: GeminiEngine, cut: int) -> None:
    async def events(asked: web.Request) -> web.StreamResponse:
        assert asked.query_string == "alt=sse"
        return await stream(EVENTS[:cut], EVENTS[cut:])(asked)

    server.will(events)
    chunks = parsed(await streamed(engine, request(stream=True)))
    assert from_chunks(chunks) == from_completion(gemini_completion(ANSWER, MODEL, 5))
    assert server.requests[0].path == f"/v1/models/{MODEL}:streamGenerateContent"


@pytest.mark.parametrize("as_stream", [False, True])
async def test_embeddings(server: FakeProvider, engine: GeminiEngine, as_stream: bool) -> None:
    server.will(says(Said({"embeddings": [{"values": [1, 0]}, {"values": [0, 1]}]})))
    told = await whole(engine, request(endpoint=Endpoint.EMBEDDINGS, stream=as_stream))
    assert [each["embedding"] for each in told["data"]] == [[1.0, 0.0], [0.0, 1.0]]
    assert server.requests[0].path == f"/v1/models/{MODEL}:batchEmbedContents"


@pytest.mark.parametrize("endpoint", [Endpoint.COMPLETIONS, Endpoint.RESPONSES, Endpoint.MESSAGES])
async def test_what_gemini_does_not_serve(engine: GeminiEngine, endpoint: Endpoint) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await engine.open(request(endpoint=endpoint))
    assert raised.value.param == "model"


async def test_nothing_is_sent_that_gemini_cannot_do(server: FakeProvider, engine: GeminiEngine) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await engine.open(request(logit_bias={"1": 1}))
    assert raised.value.param == "logit_bias"
    assert server.requests == []


async def test_a_blocked_prompt(server: FakeProvider, engine: GeminiEngine) -> None:
    server.will(says(Said(blocked())), stream(encoded([blocked()])))
    told = await whole(engine, request())
    assert told["choices"][0]["finish_reason"] == "content_filter"
    chunks = parsed(await streamed(engine, request(stream=True)))
    assert from_chunks(chunks)["choices"][0]["finish"] == "content_filter"


@pytest.mark.parametrize("as_stream", [False, True])
@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (400, error(400, "INVALID_ARGUMENT", f"Bad, {CANARY}."), InvalidRequest),
        (400, error(400, "INVALID_ARGUMENT", "No key.", "API_KEY_INVALID"), ProviderRefused),
        (401, error(401, "UNAUTHENTICATED", f"Bad {CANARY}."), ProviderRefused),
        (403, error(403, "PERMISSION_DENIED"), ProviderRefused),
        (404, error(404, "NOT_FOUND"), ProviderRefused),
        (429, error(429, "RESOURCE_EXHAUSTED"), ProviderBusy),
        (429, [error(429, "RESOURCE_EXHAUSTED")], ProviderBusy),
        (500, error(500, "INTERNAL"), UpstreamError),
        (503, error(503, "UNAVAILABLE"), ProviderBusy),
    ],
)
async def test_refusals(
    server: FakeProvider,
    engine: GeminiEngine,
    as_stream: bool,
    status: int,
    said: Any,
    expected: type[ZoranError],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server.will(says(Said(said, status, {"retry-after": "7"})))
    with pytest.raises(expected) as raised:
        await engine.open(request(stream=as_stream))
    assert type(raised.value) is expected
    if expected is ProviderBusy:
        assert raised.value.retry_after_s == 7.0
    told = f"{raised.value!r}{raised.value.message}{raised.value.__cause__!r}{engine!r}{caplog.text}"
    assert CANARY not in told
    assert PROMPT not in told


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"candidates": []}'])
async def test_whole_answers_that_are_none(server: FakeProvider, engine: GeminiEngine, body: bytes) -> None:
    server.will(says(Said(body)))
    with pytest.raises(UpstreamError):
        await whole(engine, request())


BEGUN = encoded([answer(candidate(text("Il fait"), finish=None))])


@pytest.mark.parametrize(
    ("rest", "then", "expected"),
    [
        (encoded([error(503, "UNAVAILABLE")]), "end", ProviderBusy),
        (encoded([error(500, "INTERNAL")]), "end", UpstreamError),
        (encoded([error(401, "UNAUTHENTICATED")]), "end", UpstreamError),
        (encoded([answer(candidate(finish="MALFORMED_FUNCTION_CALL"))]), "end", UpstreamError),
        (b"", "end", UpstreamError),
        (b"", "cut", UpstreamError),
        (b"data: {oops\r\n\r\n", "end", UpstreamError),
        (EVENTS[:-20], "cut", UpstreamError),
    ],
)
async def test_streams_that_fail_half_way(
    server: FakeProvider, engine: GeminiEngine, rest: bytes, then: Any, expected: type[ZoranError]
) -> None:
    server.will(stream(BEGUN, rest, then=then))
    told: list[bytes] = []
    with pytest.raises(expected) as raised:
        await streamed(engine, request(stream=True), told)
    assert type(raised.value) is expected
    assert b"Il fait" in b"".join(told)
    assert b"[DONE]" not in b"".join(told)


@pytest.mark.parametrize("body", [b"", b": keep-alive\r\n\r\n", encoded([answer()])])
async def test_streams_without_an_answer(server: FakeProvider, engine: GeminiEngine, body: bytes) -> None:
    server.will(stream(body))
    with pytest.raises(UpstreamError):
        await engine.open(request(stream=True))


async def test_silence_ends_at_the_deadline(server: FakeProvider, engine: GeminiEngine) -> None:
    server.will(hold, stream(BEGUN, then="hold"))
    with pytest.raises(DeadlineExceeded):
        await engine.open(request(patience_s=0.05))
    with pytest.raises(DeadlineExceeded):
        await streamed(engine, request(stream=True, patience_s=0.3))


async def test_an_answer_nobody_wants_is_cut(server: FakeProvider, engine: GeminiEngine) -> None:
    server.will(stream(BEGUN, then="hold"))
    reply = await engine.open(request(stream=True))
    await anext(aiter(reply.chunks()))
    await reply.close()
    await server.aborted.wait()


async def test_what_a_broken_answer_did_use(server: FakeProvider, engine: GeminiEngine) -> None:
    whole = answer(candidate(text("Il fait 20 °C"), finish=None))
    server.will(stream(encoded([whole]), then="cut"))
    reply = await engine.open(request(stream=True))
    with pytest.raises(UpstreamError):
        _ = [piece async for piece in reply.chunks()]
    await reply.close()
    told = whole["usageMetadata"]
    assert reply.usage.prompt_tokens == told["promptTokenCount"]
    assert reply.usage.completion_tokens >= told["candidatesTokenCount"]
