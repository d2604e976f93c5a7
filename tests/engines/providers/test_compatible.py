"""Each dialect against a server that speaks it, then every fault against all of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.engines.providers.asking import KEY, SPEECHES, asked, heard, parsed, served, text_of
from tests.engines.providers.fake_provider import FakeProvider, hold, html, reset_at_once, says, stream
from tests.engines.providers.speeches import CHAT, COUNTS, DONE, TEXT, Said, Speech, error, event
from zoran_ray.engines.providers.compatible import Compatible
from zoran_ray.errors import (
    DeadlineExceeded,
    InvalidRequest,
    ProviderBusy,
    ProviderRefused,
    UpstreamError,
    ZoranError,
)
from zoran_ray.wire import Endpoint, Usage, usage_of

COUNTED = Usage(prompt_tokens=19, completion_tokens=5, cached_tokens=8)
SPEECH = Speech()
DELTA = event(SPEECH.piece(CHAT, "Grüße"))
FINISH = event(SPEECH.piece(CHAT, None, "stop"))
USAGE = event(SPEECH.head("chat.completion.chunk") | {"choices": [], "usage": COUNTS})
BROKEN = json.dumps({"error": {"message": "x", "type": "server_error", "param": None, "code": None}})
PATIENCE_S = 10.0


def usage_for(name: str) -> Usage:
    return Usage(19, 5, 0) if name == "ollama" else COUNTED


@asynccontextmanager
async def scripted(*steps: Any, name: str = "openai") -> AsyncIterator[tuple[Compatible, FakeProvider]]:
    async with served(name) as (engine, provider):
        yield engine, provider.will(*steps)


async def outcome(engine: Compatible, **request: Any) -> ZoranError:
    """The error with which a request ends, wherever it strikes."""
    with pytest.raises(ZoranError) as caught:
        await heard(await engine.open(asked(**request)))
    return caught.value


# -- each dialect --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPEECHES)
async def test_a_whole_chat(name: str) -> None:
    async with served(name) as (engine, provider):
        document = json.loads((await heard(await engine.open(asked(zoran={"max_usd": 1}))))[0])
    assert ChatCompletion.model_validate(document).choices[0].message.content == TEXT
    assert usage_of(document) == usage_for(name)
    assert provider.sent == {"model": provider.speech.model, "messages": asked().document["messages"]}
    assert provider.requests[0].path == "/v1/chat/completions"


@pytest.mark.parametrize("name", SPEECHES)
async def test_a_streamed_chat(name: str) -> None:
    async with served(name) as (engine, _):
        reply = await engine.open(asked(stream=True))
        assert reply.streamed
        documents = parsed(await heard(reply))
    assert text_of(documents) == TEXT
    assert all(ChatCompletionChunk.model_validate(each) for each in documents)
    assert usage_of(documents[-1]) == usage_for(name)


@pytest.mark.parametrize("name", ["openai", "ollama", "vllm", "openai-compatible"])
async def test_completions(name: str) -> None:
    async with served(name) as (engine, provider):
        request = asked(Endpoint.COMPLETIONS, prompt="Say it")
        whole = Completion.model_validate_json((await heard(await engine.open(request)))[0])
        streamed = asked(Endpoint.COMPLETIONS, prompt="Say it", stream=True)
        documents = parsed(await heard(await engine.open(streamed)))
    assert whole.choices[0].text == TEXT
    assert "".join(choice["text"] for each in documents for choice in each["choices"]) == TEXT
    assert usage_of(documents[-1]) == usage_for(name)
    assert {seen.path for seen in provider.requests} == {"/v1/completions"}


@pytest.mark.parametrize("name", SPEECHES)
async def test_embeddings(name: str) -> None:
    async with served(name) as (engine, provider):
        reply = await engine.open(asked(Endpoint.EMBEDDINGS, input="x"))
        answer = CreateEmbeddingResponse.model_validate_json((await heard(reply))[0])
    assert answer.data[0].embedding == [0.1, -0.2]
    assert provider.sent == {"model": provider.speech.model, "input": "x"}
    assert provider.requests[0].path == "/v1/embeddings"


async def test_an_answer_passes_byte_for_byte_where_nothing_differs() -> None:
    body = b'{ "x":1,  "choices":[{"message":{"content":"\\u00fc"},"finish_reason":"stop"}]}'
    async with scripted(says(Said(body))) as (engine, _):
        assert await heard(await engine.open(asked())) == [body]


async def test_mistrals_thinking_arrives_as_reasoning() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    message = {"role": "assistant", "content": [thinking, {"type": "text", "text": "42"}]}
    chunks = [
        event(SPEECH.head("chat.completion.chunk") | {"choices": [{"index": 0, "delta": message}]}),
        event(SPEECH.piece(CHAT, "", "model_length") | {"usage": COUNTS}),
        DONE,
    ]
    async with scripted(says(Said(SPEECH.chat(**message))), stream(*chunks), name="mistral") as (engine, _):
        whole = json.loads((await heard(await engine.open(asked())))[0])
        streamed = parsed(await heard(await engine.open(asked(stream=True))))
    assert whole["choices"][0]["message"]["reasoning"] == "Hm."
    assert whole["choices"][0]["message"]["content"] == "42"
    assert streamed[0]["choices"][0]["delta"]["content"] == "42"
    assert streamed[1]["choices"][0]["finish_reason"] == "length"


async def test_what_mistral_does_not_know_it_names_itself() -> None:
    async with served("mistral") as (engine, provider):
        error = await outcome(engine, min_p=0.1)
    assert isinstance(error, InvalidRequest)
    assert error.param == "min_p"
    assert "Extra inputs are not permitted" in error.message
    assert len(provider.requests) == 1


async def test_what_a_dialect_does_not_have_is_refused_before_it_is_sent() -> None:
    async with served("ollama") as (engine, provider):
        error = await outcome(engine, logit_bias={"1": 2})
    assert isinstance(error, InvalidRequest)
    assert error.param == "logit_bias"
    assert not provider.requests


async def test_the_request_id_goes_along() -> None:
    async with served("openai") as (engine, provider):
        await heard(await engine.open(asked()))
    assert provider.requests[0].headers["x-client-request-id"] == "req-7f3a"


# -- streams that are unusual and good -----------------------------------------------------------


@pytest.mark.parametrize(
    "pieces",
    [
        [bytes([byte]) for byte in DELTA + FINISH + USAGE + DONE],
        [DELTA, FINISH, USAGE, DONE],
        [b": OPENROUTER PROCESSING\n\n", DELTA, b":\n\n", FINISH, USAGE, DONE],
        [(DELTA + FINISH + USAGE + DONE).replace(b"\n", b"\r\n")],
        [DELTA, FINISH, USAGE],
        [DELTA, FINISH, USAGE, b"data: [DONE]"],
        [b"event: message\nid: 1\n" + DELTA, FINISH, USAGE, DONE],
        [DELTA, FINISH, USAGE, DONE, b"data: {never read"],
    ],
    ids=["byte-by-byte", "as-written", "comments", "crlf", "no-done", "open-end", "named", "beyond"],
)
async def test_a_good_stream_however_it_arrives(pieces: list[bytes]) -> None:
    async with scripted(stream(*pieces)) as (engine, _):
        told = await heard(await engine.open(asked(stream=True)))
    assert told == [DELTA, FINISH, told[2], DONE]
    assert json.loads(told[2][6:]) == json.loads(USAGE[6:])
    assert b'"usage":{' in told[2], "not as `UsageFilter` finds it"


async def test_a_piece_that_ends_inside_a_character() -> None:
    at = DELTA.index("ü".encode()) + 1
    async with scripted(stream(DELTA[:at], DELTA[at:] + FINISH, USAGE + DONE)) as (engine, _):
        chunks = await heard(await engine.open(asked(stream=True)))
    assert text_of(parsed(chunks)) == "Grüße"


async def test_json_over_several_lines_goes_out_on_one() -> None:
    pretty = json.dumps(SPEECH.piece(CHAT, "a\nb"), indent=1)
    lines = "".join(f"data: {line}\n" for line in pretty.split("\n")).encode() + b"\n"
    async with scripted(stream(lines, FINISH, DONE)) as (engine, _):
        assert text_of(parsed(await heard(await engine.open(asked(stream=True))))) == "a\nb"


async def test_several_choices_end_one_by_one() -> None:
    def piece(index: int, reason: str | None) -> bytes:
        choice = {"index": index, "delta": {}, "finish_reason": reason}
        return event(SPEECH.head("chat.completion.chunk") | {"choices": [choice]})

    begun = [piece(0, None), piece(1, None), piece(0, "stop")]
    async with scripted(stream(*begun, piece(1, "length")), stream(*begun)) as (engine, _):
        assert len(await heard(await engine.open(asked(stream=True, n=2)))) == 5
        assert isinstance(await outcome(engine, stream=True, n=2), UpstreamError)


async def test_a_stream_gives_its_connection_back() -> None:
    async with served("openai") as (engine, provider):
        for _ in range(3):
            await heard(await engine.open(asked(stream=True)))
    assert len(set(provider.connections)) == 1


# -- faults --------------------------------------------------------------------------------------

WITH_MESSAGE = says(Said(error("n must be 1", "invalid_request_error", "n"), 400))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (WITH_MESSAGE, InvalidRequest),
        (says(SPEECH.bad_key(KEY)), ProviderRefused),
        (says(SPEECH.unknown_model("x")), ProviderRefused),
        (says(Said(error("slow down", "requests", code="rate_limit_exceeded"), 429)), ProviderBusy),
        (says(Said(error("x", "server_error"), 500)), UpstreamError),
        (says(Said(error("overloaded", "overloaded_error"), 529)), ProviderBusy),
        (html(), UpstreamError),
        (html(500), UpstreamError),
        (html(403), ProviderRefused),
        (reset_at_once, UpstreamError),
        (says(Said({"error": {"message": "x", "code": 429}})), ProviderBusy),
    ],
)
async def test_a_fault_at_the_beginning(step: Any, kind: type[ZoranError], streamed: bool) -> None:
    async with scripted(step) as (engine, _):
        assert type(await outcome(engine, stream=streamed)) is kind


@pytest.mark.parametrize("name", SPEECHES)
async def test_each_provider_says_in_its_own_way_that_our_side_is_wrong(name: str) -> None:
    async with served(name, key="sk-wrong") as (engine, _):
        assert isinstance(await outcome(engine), ProviderRefused)
    async with served(name, model="no-such-model") as (engine, _):
        assert isinstance(await outcome(engine), ProviderRefused)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503, 529])
async def test_how_long_a_busy_provider_wants_to_be_left_alone(
    status: int, headers: dict[str, str], wait_s: float | None
) -> None:
    async with scripted(says(Said({}, status, headers))) as (engine, _):
        error = await outcome(engine)
    assert isinstance(error, ProviderBusy)
    assert error.retry_after_s == wait_s


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_slow_first_byte(streamed: bool) -> None:
    async with scripted(hold) as (engine, _):
        error = await outcome(engine, stream=streamed, seconds=0.1)
    assert isinstance(error, DeadlineExceeded)


@pytest.mark.parametrize(
    "chunks",
    [
        [b": only comments\n\n"],
        [b"data: [DONE]\n\n"],
        [USAGE, DONE],
        [b"data: {malformed\n\n"],
        [b'data: "text"\n\n'],
        [b"data: \xff\xfe\n\n"],
        [b'data: {"choices": null}\n\n'],
        [b'data: {"choices": [3]}\n\n'],
        [f"data: {BROKEN}\n\n".encode()],
        [b'data: {"object": "error", "message": "out of memory"}\n\n'],
        [b'event: error\ndata: {"message": "out of memory"}\n\n'],
        [DELTA],
        [DELTA, b"data: {malformed\n\n", DONE],
        [DELTA, DELTA[:-20]],
        [DELTA, f"data: {BROKEN}\n\n".encode(), DONE],
        [DELTA, event(SPEECH.piece(CHAT, None, "error")), DONE],
        [DELTA, event({"error": {"message": "bad", "code": 400}, "choices": []})],
    ],
)
async def test_a_stream_that_is_none_or_ends_badly(chunks: list[bytes]) -> None:
    async with scripted(stream(*chunks)) as (engine, _):
        assert type(await outcome(engine, stream=True)) is UpstreamError


@pytest.mark.parametrize("begun", [[], [DELTA]])
async def test_a_provider_that_becomes_busy_within_the_stream(begun: list[bytes]) -> None:
    busy = event({"error": {"type": "overloaded_error", "message": "Overloaded"}})
    async with scripted(stream(*begun, busy)) as (engine, _):
        assert type(await outcome(engine, stream=True)) is ProviderBusy


async def test_a_refusal_in_the_first_event_is_told_before_anything_is_sent() -> None:
    refusal = event(
        {"error": {"message": "the prompt is too long", "type": "BadRequestError", "code": 400}}
    )
    async with scripted(stream(refusal, DONE)) as (engine, _):
        with pytest.raises(InvalidRequest, match="the prompt is too long"):
            await engine.open(asked(stream=True))


async def test_a_connection_reset_in_mid_stream() -> None:
    now = asyncio.Event()
    async with scripted(stream(DELTA, then=now)) as (engine, _):
        reply = await engine.open(asked(stream=True))
        chunks = reply.chunks()
        assert await anext(chunks) == DELTA
        now.set()
        with pytest.raises(UpstreamError, match="broke off"):
            await anext(chunks)
        await reply.close()


async def test_a_hang_in_mid_stream() -> None:
    now = 0.0
    async with served("openai", clock=lambda: now) as (engine, provider):
        provider.will(stream(DELTA, then="hold"))
        request = asked(stream=True)
        now = request.deadline - 60
        reply = await engine.open(request)
        chunks = reply.chunks()
        assert await anext(chunks) == DELTA
        now = request.deadline - 0.1
        with pytest.raises(DeadlineExceeded):
            await anext(chunks)
        await reply.close()
        await asyncio.wait_for(provider.aborted.wait(), PATIENCE_S)


@pytest.mark.parametrize(
    "body",
    [
        SPEECH.chat() | {"choices": []},
        SPEECH.chat() | {"choices": None},
        SPEECH.chat() | {"choices": [{"index": 0, "finish_reason": "stop"}]},
        SPEECH.chat() | {"choices": [{"message": {"content": "x"}, "finish_reason": "error"}]},
        {"object": "error", "message": "out of memory"},
        [],
        b"{malformed",
        b"<html>",
    ],
)
async def test_a_whole_answer_that_is_none(body: Any) -> None:
    async with scripted(says(Said(body))) as (engine, _):
        assert type(await outcome(engine)) is UpstreamError


async def test_embeddings_without_any() -> None:
    async with scripted(says(Said({"object": "list", "data": []}))) as (engine, _):
        assert type(await outcome(engine, endpoint=Endpoint.EMBEDDINGS, input="x")) is UpstreamError


async def test_a_client_that_leaves_hangs_up_on_the_provider() -> None:
    async with scripted(stream(DELTA, then="hold")) as (engine, provider):
        reading = asyncio.create_task(heard(await engine.open(asked(stream=True))))
        await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await asyncio.wait_for(provider.aborted.wait(), PATIENCE_S)
