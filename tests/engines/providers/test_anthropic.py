"""The adapter against a server that speaks Anthropic's wire format, faults included."""

import json
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.engines.providers.fake_anthropic import MODEL, encoded, error, events, message, text, tool_use
from tests.engines.providers.fake_provider import FakeProvider, Step, hold, html, says, stream
from tests.engines.providers.openai_shapes import from_chunks, from_completion, parsed
from tests.engines.providers.speeches import Said, Speech
from zoran_ray.api_key import ApiKey
from zoran_ray.engines.protocol import EngineRequest
from zoran_ray.engines.providers.anthropic import AnthropicEngine, anthropic_connection
from zoran_ray.engines.providers.anthropic_answer import anthropic_completion
from zoran_ray.errors import (
    DeadlineExceeded,
    InvalidRequest,
    ProviderBusy,
    ProviderRefused,
    UpstreamError,
    ZoranError,
)
from zoran_ray.wire import Endpoint, Usage

CANARY = "sk-ant-canary-5d0c"
PROMPT = "prompt-canary-77"
ANSWER = message(text("Il fait 20 °C à Orléans ☀️."), tool_use("t1", "now", {"où": "là"}), stop="tool_use")
EVENTS = encoded(events(ANSWER, (5,)))


@pytest.fixture
async def server() -> AsyncIterator[FakeProvider]:
    async with FakeProvider(Speech()) as server:
        yield server


@pytest.fixture
async def engine(server: FakeProvider) -> AsyncIterator[AnthropicEngine]:
    connection = anthropic_connection(ApiKey(CANARY, "test"), server.url)
    engine = AnthropicEngine(connection, MODEL, now=lambda: 5.0)
    yield engine
    await connection.close()


def request(
    *,
    stream: bool = False,
    endpoint: Endpoint = Endpoint.CHAT_COMPLETIONS,
    patience_s: float = 10.0,
    **more: Any,
) -> EngineRequest:
    messages = [{"role": "user", "content": PROMPT}]
    document = {"model": "anthropic/claude", "messages": messages, "stream": stream, **more}
    return EngineRequest(endpoint, document, "req-1", time.monotonic() + patience_s)


async def whole(engine: AnthropicEngine, asked: EngineRequest) -> Any:
    reply = await engine.open(asked)
    try:
        assert not reply.streamed
        return json.loads(await reply.whole())
    finally:
        await reply.close()


async def streamed(engine: AnthropicEngine, asked: EngineRequest, into: list[bytes] | None = None) -> bytes:
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


async def test_a_whole_answer(server: FakeProvider, engine: AnthropicEngine) -> None:
    server.will(says(Said(ANSWER)))
    assert await whole(engine, request()) == anthropic_completion(ANSWER, 5)
    (asked,) = server.requests
    assert asked.path == "/v1/messages"
    assert asked.headers["x-api-key"] == CANARY
    assert asked.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in asked.headers
    assert asked.json["model"] == MODEL
    assert asked.json["messages"] == [{"role": "user", "content": [{"type": "text", "text": PROMPT}]}]
    assert "stream" not in asked.json


INSIDE_A_CHARACTER = EVENTS.index("°".encode()) + 1


@pytest.mark.parametrize("cut", [0, 5, INSIDE_A_CHARACTER, len(EVENTS) - 1])
async def test_a_streamed_answer(server: FakeProvider, engine: AnthropicEngine, cut: int) -> None:
    server.will(stream(EVENTS[:cut], EVENTS[cut:]))
    chunks = parsed(await streamed(engine, request(stream=True)))
    assert from_chunks(chunks) == from_completion(anthropic_completion(ANSWER, 5))
    assert server.requests[0].json["stream"] is True


async def test_connections_are_used_again(server: FakeProvider, engine: AnthropicEngine) -> None:
    server.will(stream(EVENTS), says(Said(ANSWER)))
    await streamed(engine, request(stream=True))
    await whole(engine, request())
    assert [asked.headers["x-request-id"] for asked in server.requests] == ["req-1", "req-1"]


@pytest.mark.parametrize("endpoint", [Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS, Endpoint.RESPONSES])
async def test_what_anthropic_does_not_serve(engine: AnthropicEngine, endpoint: Endpoint) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await engine.open(request(endpoint=endpoint))
    assert raised.value.param == "model"


async def test_nothing_is_sent_that_anthropic_cannot_do(
    server: FakeProvider, engine: AnthropicEngine
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await engine.open(request(seed=1))
    assert raised.value.param == "seed"
    deep = '{"a":' * 300 + "1" + "}" * 300
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": deep}}
    messages = [{"role": "assistant", "tool_calls": [call]}]
    messages.append({"role": "tool", "tool_call_id": "c", "content": "x"})
    with pytest.raises(InvalidRequest, match="deep"):
        await engine.open(request(messages=messages))
    assert server.requests == []


@pytest.mark.parametrize("as_stream", [False, True])
@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "invalid_request_error", InvalidRequest),
        (401, "authentication_error", ProviderRefused),
        (402, "billing_error", ProviderRefused),
        (403, "permission_error", ProviderRefused),
        (404, "not_found_error", ProviderRefused),
        (413, "request_too_large", InvalidRequest),
        (429, "rate_limit_error", ProviderBusy),
        (500, "api_error", UpstreamError),
        (504, "timeout_error", UpstreamError),
        (529, "overloaded_error", ProviderBusy),
    ],
)
async def test_refusals(
    server: FakeProvider,
    engine: AnthropicEngine,
    as_stream: bool,
    status: int,
    kind: str,
    expected: type[ZoranError],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server.will(says(Said(error(kind, f"No, {CANARY} will not do."), status, {"retry-after": "7"})))
    with pytest.raises(expected) as raised:
        await engine.open(request(stream=as_stream))
    assert type(raised.value) is expected
    if expected is ProviderBusy:
        assert raised.value.retry_after_s == 7.0
    told = f"{raised.value!r}{raised.value.message}{raised.value.__cause__!r}{engine!r}{caplog.text}"
    assert CANARY not in told
    assert PROMPT not in told


GARBAGE: dict[str, Step] = {
    "html": html(),
    "no json": says(Said(b'{"content": [')),
    "no message": says(Said({"id": "msg_01"})),
    "empty": says(Said(b"")),
}


@pytest.mark.parametrize("fault", GARBAGE)
async def test_whole_answers_that_are_none(
    server: FakeProvider, engine: AnthropicEngine, fault: str
) -> None:
    server.will(GARBAGE[fault])
    with pytest.raises(UpstreamError):
        await whole(engine, request())


async def test_an_error_that_came_as_a_success(server: FakeProvider, engine: AnthropicEngine) -> None:
    server.will(says(Said(error("overloaded_error"))))
    with pytest.raises(ProviderBusy):
        await whole(engine, request())


async def test_overloaded_before_the_first_word_is_told_by_open(
    server: FakeProvider, engine: AnthropicEngine
) -> None:
    server.will(stream(encoded([error("overloaded_error")])))
    with pytest.raises(ProviderBusy):
        await engine.open(request(stream=True))


BEGUN = encoded(events(ANSWER, (5,))[:5])


@pytest.mark.parametrize(
    ("rest", "then", "expected"),
    [
        (encoded([error("overloaded_error")]), "end", ProviderBusy),
        (encoded([error("api_error")]), "end", UpstreamError),
        (encoded([error("authentication_error")]), "end", UpstreamError),
        (b"", "end", UpstreamError),
        (b"", "cut", UpstreamError),
        (b"event: content_block_delta\ndata: {oops\n\n", "end", UpstreamError),
        (b"event: content_block_del", "cut", UpstreamError),
    ],
)
async def test_streams_that_fail_half_way(
    server: FakeProvider, engine: AnthropicEngine, rest: bytes, then: Any, expected: type[ZoranError]
) -> None:
    server.will(stream(BEGUN, rest, then=then))
    told: list[bytes] = []
    with pytest.raises(expected) as raised:
        await streamed(engine, request(stream=True), told)
    assert type(raised.value) is expected
    assert b"Il fa" in b"".join(told)
    assert b"[DONE]" not in b"".join(told)


async def test_silence_ends_at_the_deadline(server: FakeProvider, engine: AnthropicEngine) -> None:
    server.will(hold, stream(BEGUN, then="hold"))
    with pytest.raises(DeadlineExceeded):
        await engine.open(request(patience_s=0.05))
    with pytest.raises(DeadlineExceeded):
        await streamed(engine, request(stream=True, patience_s=0.3))


async def test_an_answer_nobody_wants_is_cut(server: FakeProvider, engine: AnthropicEngine) -> None:
    server.will(stream(BEGUN, then="hold"))
    reply = await engine.open(request(stream=True))
    await anext(aiter(reply.chunks()))
    await reply.close()
    await server.aborted.wait()


async def test_what_a_broken_answer_did_use(server: FakeProvider, engine: AnthropicEngine) -> None:
    begun = encoded(events(message(text("Il fait 20 °C à Orléans.")), (5,))[:5])
    server.will(stream(begun, then="cut"))
    reply = await engine.open(request(stream=True))
    with pytest.raises(UpstreamError):
        _ = [piece async for piece in reply.chunks()]
    await reply.close()
    # The prompt was counted in the first event, with one token of the answer; two pieces came since.
    assert reply.usage == Usage(20, 1 + 3, 5)


async def test_what_a_complete_answer_did_use(server: FakeProvider, engine: AnthropicEngine) -> None:
    server.will(stream(EVENTS), says(Said(ANSWER)))
    for streams in (True, False):
        reply = await engine.open(request(stream=streams))
        _ = [piece async for piece in reply.chunks()] if streams else await reply.whole()
        await reply.close()
        assert reply.usage == Usage(20, 9, 5)
