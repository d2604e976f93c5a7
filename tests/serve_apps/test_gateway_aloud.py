"""Thoughts that go out while they are thought: what a client hears, what it costs, and what is kept."""

import asyncio
import itertools
import json

import anthropic
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.gateway.chat_voice import ChatVoice
from serve_apps.gateway.messages_voice import MessagesVoice
from serve_apps.gateway.responses_voice import ResponsesVoice
from serve_apps.gateway.strategies import Strategies
from serve_apps.gateway.thinking import _framed
from serve_apps.gateway.thinking_events import Events
from serve_apps.gateway.thinking_stream import Spoken
from serve_apps.gateway.thinking_voice import Head, Told
from tests.engines.providers.fake_provider import FakeProvider
from tests.engines.providers.speeches import TEXT, Speech
from tests.serve_apps.test_gateway_routing import ENVIRON, arm
from tests.serve_apps.test_gateway_thinking import keys
from tests.serve_apps.thinking_stage import PROMPT, answer, events_of
from zoran_ray.errors import UpstreamError, ZoranError
from zoran_ray.privacy import StreamUnmasker, as_is, unmask
from zoran_ray.reasoning.completion import Used
from zoran_ray.reasoning.registry import Registry, shipped_playbooks, shipped_strategies
from zoran_ray.reasoning.strategy import Answer
from zoran_ray.reasoning.trace import Piece, Step
from zoran_ray.reasoning.verifiers import verifier_of
from zoran_ray.settings import PrivacyProfile, PrivacySettings
from zoran_ray.wire import Endpoint
from zoran_ray.wire.event_texts import StreamTexts

CHAT = "/v1/chat/completions"
SAID = "Two and two make four.\nAnswer: 4"
REGISTRY = Registry(shipped_strategies(), playbooks=shipped_playbooks())
STRATEGIES = Strategies(REGISTRY.described(), REGISTRY.make, verifier_of)
MESSAGES = [{"role": "user", "content": PROMPT}]


def spoken(text, prompt=20):
    """The events of a streamed answer, a word each, as vLLM writes them with continuous usage."""
    words = text.replace(" ", " \0").split("\0")
    for made, word in enumerate(words, 1):
        yield _event([{"index": 0, "delta": {"content": word}, "finish_reason": None}], prompt, made)
    ended = {"index": 0, "delta": {}, "finish_reason": "stop"}
    yield _event([ended], prompt, len(words))
    yield _event([], prompt, len(words), {"prompt_tokens_details": {"cached_tokens": 12}})
    yield b"data: [DONE]\n\n"


def _event(choices, prompt, made, more=None):
    usage = {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}
    chunk = {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": choices}
    return b"data: " + json.dumps({**chunk, "usage": {**usage, **(more or {})}}).encode() + b"\n\n"


def speaks(replica, *texts):
    """Answers call after call, streamed where that is asked for; the last text stays."""
    left = list(texts)

    async def step(reader, writer):
        text = left.pop(0) if len(left) > 1 else left[0]
        if replica.requests[-1].json.get("stream"):
            return await replica.stream(*spoken(text))(reader, writer)
        made = len(text.split(" "))
        return await replica.whole(answer(text, prompt=20, cached=12, made=made))(reader, writer)

    return step


@pytest.fixture
async def stack(make_stack):
    return await make_stack(strategies=STRATEGIES)


@pytest.fixture
async def replica(stack):
    replica = await stack.replica()
    return replica.will(speaks(replica, SAID))


async def ask(stack, headers=None, model="zoran/cot", **fields):
    return await stack.post(CHAT, {"model": model, "messages": MESSAGES, **fields}, headers)


def heard(events):
    """The reasoning and the content of a chat stream."""
    deltas = [event["choices"][0]["delta"] for event in events if event.get("choices")]
    return tuple("".join(delta.get(name, "") for delta in deltas) for name in ("reasoning", "content"))


async def trace_of(stack, got, headers=None):
    trace = (await stack.get(f"/v1/traces/{got.headers['x-zoran-trace-id']}", headers)).json
    for step in trace["steps"]:
        del step["at_s"]
    return trace


# -- what is heard ----------------------------------------------------------------------------------


async def test_a_thought_goes_out_while_it_is_thought(stack, replica):
    first, rest, go_on = list(spoken(SAID))[:4], list(spoken(SAID))[4:], asyncio.Event()

    async def step(reader, writer):
        await replica.stream(*first, then="more")(reader, writer)
        await go_on.wait()
        for chunk in rest:
            writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    replica.will(step)
    seen = []
    body = {"model": "zoran/cot", "stream": True, "messages": MESSAGES}
    async with asyncio.timeout(10), stack._client.stream("POST", CHAT, json=body) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                seen.append(json.loads(line[6:]))
            if heard(seen)[0].startswith("Two"):
                go_on.set()  # only now does the model go on
    assert heard(seen) == ("Two and two make four.\n", "4")
    said = [event["zoran"] for event in seen if "id" in event.get("zoran", {})]
    assert {each["id"] for each in said if each.get("partial")} == {1}
    whole = [each for each in said if not each.get("partial")]
    assert [(each["id"], each["parent"], each["kind"]) for each in whole] == [
        (1, 0, "thought"),
        (2, 1, "answer"),
    ]
    assert whole[0]["tokens"] == 20 + 6


async def test_a_stream_says_decides_and_keeps_what_a_whole_answer_does(stack, replica):
    streamed = await ask(stack, stream=True, stream_options={"include_usage": True})
    whole = await ask(stack)
    events = events_of(streamed.body)
    assert heard(events) == (whole.json["choices"][0]["message"]["reasoning"], "4")
    assert events[-1]["usage"] == whole.json["usage"]
    first, second = (request.json for request in replica.requests)
    assert first.pop("stream") is True
    assert first.pop("stream_options") == {"include_usage": True, "continuous_usage_stats": True}
    assert first == second
    kept, other = await trace_of(stack, streamed), await trace_of(stack, whole)
    for name in ("steps", "calls", "used", "answer", "ended"):
        assert kept[name] == other[name]


async def test_every_step_of_a_playbook_is_heard(stack, replica):
    replica.will(speaks(replica, "A first draft.", "Too short.", "A long answer."))
    got = await ask(stack, model="zoran/draft-critique-revise", stream=True)
    events = events_of(got.body)
    assert heard(events) == ("A first draft.\nToo short.\nA long answer.\n", "A long answer.")
    assert {event["zoran"]["strategy"] for event in events if "id" in event.get("zoran", {})} == {
        "draft-critique-revise"
    }
    listed = {row["id"] for row in (await stack.get("/v1/models")).json["data"]}
    assert {"zoran/plan-and-check", "zoran/grounded", "zoran/draft-critique-revise"} <= listed


async def test_branches_are_heard_as_wholes(stack, replica):
    got = await ask(stack, model="zoran/self-consistency", stream=True)
    assert not any("stream" in request.json for request in replica.requests)
    assert not any(event.get("zoran", {}).get("partial") for event in events_of(got.body))


async def test_an_answer_without_a_marker_was_no_thought(stack, replica):
    replica.will(speaks(replica, "It is simply four."))
    events = events_of((await ask(stack, stream=True)).body)
    assert heard(events) == ("It is simply\n", "It is simply four.")
    assert "reasoning" not in (await ask(stack)).json["choices"][0]["message"]


async def test_openais_client_reads_a_response(stack, replica):
    async with (
        openai.AsyncOpenAI(
            api_key="x", base_url=f"http://127.0.0.1:{stack.port}/v1", max_retries=0
        ) as client,
        client.responses.stream(model="zoran/cot", input=PROMPT) as events,
    ):
        seen = [event async for event in events]
        final = await events.get_final_response()
    deltas = [event.delta for event in seen if event.type == "response.reasoning_text.delta"]
    assert len(deltas) > 3
    thoughts = [item for item in final.output if item.type == "reasoning"]
    assert "".join(deltas) == thoughts[0].content[0].text == "Two and two make four.\n"
    assert (thoughts[0].zoran["tokens"], final.output_text) == (26, "4")
    numbers = [event.sequence_number for event in seen]
    assert numbers == list(range(len(numbers)))


async def test_anthropics_client_reads_a_message(stack, replica):
    async with (
        anthropic.AsyncAnthropic(
            api_key="x", base_url=f"http://127.0.0.1:{stack.port}", max_retries=0
        ) as client,
        client.messages.stream(model="zoran/cot", max_tokens=50, messages=MESSAGES) as events,
    ):
        kinds = [event.type async for event in events]
        final = await events.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "thinking", "text"]
    assert (final.content[0].thinking, final.content[-1].text) == ("Two and two make four.\n", "4")
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 3
    assert kinds.count("content_block_delta") > 5


@pytest.mark.parametrize("provider", ["openai_compatible", "ollama"])
async def test_a_providers_thought_is_heard_and_paid(make_stack, provider):
    async with FakeProvider(Speech(), ENVIRON["ACME_API_KEY"]) as acme:
        stack = await make_stack(strategies=STRATEGIES, environ=ENVIRON)
        stack.catalogue(arm("acme/a", acme.url, provider=provider))
        streamed = await ask(stack, model="zoran/cot:acme/a", stream=True)
        whole = await ask(stack, model="zoran/cot:acme/a")
        events = events_of(streamed.body)
        reasoning, content = heard(events)
        assert content == TEXT
        assert TEXT.startswith(reasoning.strip())
        assert reasoning.strip()
        end = next(event["zoran"] for event in events if "trace_id" in event.get("zoran", {}))
        for name in ("calls", "tokens", "cost_usd"):
            assert end[name] == whole.json["zoran"][name]


# -- faults -----------------------------------------------------------------------------------------


async def test_who_leaves_in_the_middle_pays_for_what_was_made(stack, replica):
    stack.catalogue(usd_per_million_input=1, usd_per_million_output=2)
    key = keys(stack, me={"usd_per_day": 1.0})["me"]
    replica.will(replica.stream(*list(spoken(SAID))[:3], then="hold"))
    body = {"model": "zoran/cot", "stream": True, "messages": MESSAGES}
    async with (
        asyncio.timeout(10),
        stack._client.stream("POST", CHAT, json=body, headers=key) as response,
    ):
        async for line in response.aiter_lines():
            if '"reasoning":"' in line:
                (served,) = stack.uvicorn.tasks
                served.cancel()  # as Serve does when a client hangs up
                break
    async with asyncio.timeout(10):
        await replica.aborted.wait()
        while stack.counted("zoran_requests_inflight"):
            await asyncio.sleep(0.001)
    await stack.spending.flush(5)
    assert len(stack.spending) == 0
    made = stack.counted("zoran_tokens_total", kind="output", model="local/m")
    assert stack.counted("zoran_tokens_total", kind="input", model="local/m") == 20
    assert 1 <= made <= 3
    spent = 20 * 1000 + made * 2000
    assert round(stack.counted("zoran_cost_usd_total", model="local/m") * 10**9) == spent
    await stack.traces.last_words()
    meta = stack.told[-1].meta
    assert (meta["ended"], meta["prompt_tokens"], meta["completion_tokens"]) == ("cancelled", 20, made)
    assert (meta["cost_nano_usd"], meta["calls"], len(replica.requests)) == (spent, 1, 1)
    (row,) = (await stack.get("/v1/traces", key)).json["data"]
    assert (row["ended"], row["used"]["completion_tokens"]) == ("cancelled", made)


async def test_a_lost_replica_is_replaced_and_the_thought_said_anew(stack, replica):
    other = await stack.replica("r2")

    def breaks_off(each):
        async def step(reader, writer):
            if len(replica.requests) + len(other.requests) > 1:
                return await speaks(each, SAID)(reader, writer)
            return await each.stream(*list(spoken("Wrong way round."))[:3], then="lost")(reader, writer)

        return step

    for each in (replica, other):
        each.will(breaks_off(each))
    events = events_of((await ask(stack, stream=True)).body)
    assert len(replica.requests) + len(other.requests) == 2
    reasoning, content = heard(events)
    assert content == "4"
    assert reasoning.startswith("Wrong")
    assert reasoning.endswith("\nTwo and two make four.\n")


@pytest.mark.parametrize(
    ("chunks", "code"),
    [
        ([b'data: {"error":{"message":"boom","type":"x","code":500}}\n\n'], None),
        ([b"data: {\n\n"], "upstream_error"),
        ([b"data: []\n\n"], "upstream_error"),
        ([b'data: {"choices":[3]}\n\n'], "upstream_error"),
    ],
)
async def test_an_engine_that_streams_nonsense(stack, replica, chunks, code):
    replica.will(replica.stream(*chunks))
    got = await ask(stack, stream=True)
    assert got.status >= 500
    assert code in (None, got.code)


async def test_an_error_in_the_middle_ends_the_stream(stack, replica):
    fault = b'data: {"error":{"message":"boom","type":"x","code":500}}\n\n'
    replica.will(replica.stream(*list(spoken(SAID))[:4], fault))
    got = await ask(stack, stream=True)
    assert got.status == 200
    assert "error" in events_of(got.body)[-1]
    assert got.body.endswith(b"data: [DONE]\n\n")


# -- laws -------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 400), max_size=12))
def test_an_answer_is_the_same_however_its_stream_is_cut(cuts):
    data = b"".join(spoken("Zwölf \u2028 Boxkämpfer.\n\nAnswer: 4"))
    texts = []
    answer = Spoken(texts.append)
    places = sorted({0, len(data), *(cut * len(data) // 400 for cut in cuts)})
    for start, end in itertools.pairwise(places):
        answer.feed(data[start:end])
    assert "".join(texts) == "Zwölf \u2028 Boxkämpfer.\n\nAnswer: 4"
    assert answer.document()["choices"][0]["message"]["content"] == "".join(texts)
    assert (answer.ended, answer.usage.cached_tokens) == (True, 12)


def test_a_second_try_is_not_heard_after_a_first_one():
    texts = []
    answer = Spoken(texts.append)
    answer.begin()
    answer.feed(next(spoken("one")))
    answer.begin()
    for event in spoken("two"):
        answer.feed(event)
    assert texts == ["one"]
    assert answer.document()["choices"][0]["message"]["content"] == "two"
    with pytest.raises(UpstreamError):
        answer.feed(b"data: nothing\n\n")
    with pytest.raises(ZoranError):
        answer.feed(b'data: {"error": {"message": "x"}}\n\n')


KNOWN = {"[EMAIL_ADDRESS_0123456789abcdef]": "anna@example.org"}
THOUGHT = "Ask [EMAIL_ADDRESS_0123456789abcdef] or [nobody], then [EMAIL_ADDRESS_0123456789abcdef"
VOICES = {
    Endpoint.CHAT_COMPLETIONS: ChatVoice,
    Endpoint.MESSAGES: MessagesVoice,
    Endpoint.RESPONSES: ResponsesVoice,
}


@given(st.sampled_from(list(VOICES)), st.sets(st.integers(0, len(THOUGHT))), st.booleans())
def test_what_is_masked_is_put_back_however_a_thought_is_cut(endpoint, cuts, ends_early):
    """The same text for every cut, and the same as of a thought that came whole."""
    step = Step(1, 0, "cot", "thought", THOUGHT, Used(1, 5, 0, 5))
    places = sorted({0, len(THOUGHT), *cuts})
    pieces = [
        Piece(1, 0, "cot", "thought", THOUGHT[start:end]) for start, end in itertools.pairwise(places)
    ]
    told = Told(Answer("4"), Used(1, 5, 0, 5), {"ended": "done"}, (step,))
    voice = VOICES[endpoint](Head("trace-" + "0" * 32, "zoran/cot", 1))
    events = list(voice.begin())
    for piece in pieces[: -1 if ends_early else None]:
        events += json.loads(json.dumps(list(voice.piece(piece))))
    events += [*voice.step(step), *voice.end(told)]
    texts = StreamTexts(endpoint, _PutBack(), lambda is_json: StreamUnmasker(KNOWN.get, as_is))
    named = endpoint is not Endpoint.CHAT_COMPLETIONS
    out = texts.feed(b"".join(_framed(event, named) for event in events)) + texts.finish()
    assert _thought_in(endpoint, events_of(out)) == unmask(THOUGHT, KNOWN.get) + "\n"


class _PutBack:
    def text(self, text):
        return unmask(text, KNOWN.get)

    json = text


def _thought_in(endpoint, events):
    if endpoint is Endpoint.CHAT_COMPLETIONS:
        return heard(events)[0]
    if endpoint is Endpoint.MESSAGES:
        return "".join(event.get("delta", {}).get("thinking", "") for event in events)
    deltas = [event["delta"] for event in events if event["type"].endswith("reasoning_text.delta")]
    (done,) = [event["text"] for event in events if event["type"].endswith("reasoning_text.done")]
    assert done == "".join(deltas)
    return done


async def test_personal_data_that_is_streamed_is_put_back(make_stack):
    email = "jean.canary@example.fr"
    privacy = PrivacySettings(profiles={"default": PrivacyProfile(mode="always")})
    stack = await make_stack(strategies=STRATEGIES, privacy=privacy)
    replica = await stack.replica()

    async def step(reader, writer):
        masked = replica.requests[-1].json["messages"][0]["content"].split()[2]
        signs = [sign for event in "Ask " + masked + " now.\nAnswer: 4" for sign in event]
        events = [
            _event([{"index": 0, "delta": {"content": sign}, "finish_reason": None}], 20, place)
            for place, sign in enumerate(signs, 1)
        ]
        return await replica.stream(*events, b"data: [DONE]\n\n")(reader, writer)

    replica.will(step)
    asked = [{"role": "user", "content": f"Write to {email} please."}]
    got = await ask(stack, messages=asked, stream=True)
    assert email not in replica.requests[0].body.decode()
    assert heard(events_of(got.body)) == (f"Ask {email} now.\n", "4")


async def test_pieces_that_wait_become_one():
    events = Events()
    for sign in "abc":
        events.piece(Piece(1, 0, "cot", "thought", sign))
    events.piece(Piece(2, 0, "cot", "thought", "d"))
    step = Step(2, 0, "cot", "thought", "de")
    events.step(step)
    events.end()
    assert [event async for event in events] == [Piece(1, 0, "cot", "thought", "abc"), step]


async def test_an_answer_that_was_heard_loses_no_piece():
    events = Events()
    pieces = [Piece(1, 0, "draft", "answer", sign) for sign in "ab"]
    events.piece(pieces[0])
    heard = aiter(events)
    assert await anext(heard) == pieces[0]
    events.piece(pieces[1])
    step = Step(1, 0, "draft", "answer", "ab")
    events.step(step)
    events.end()
    assert [event async for event in heard] == [pieces[1], step]
