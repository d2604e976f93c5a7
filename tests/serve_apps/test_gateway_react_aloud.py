"""ReAct's turns, streamed: calls of tools come together as in a whole answer, and thoughts are heard."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.gateway.built_in import built_in
from serve_apps.gateway.thinking_calls import CallsInPieces
from serve_apps.gateway.thinking_stream import Spoken
from tests.serve_apps.test_gateway_tools import REACT, ask, call, calling
from tests.serve_apps.thinking_stage import answer, events_of, in_pieces
from zoran_ray.errors import UpstreamError


def heard(got):
    """The thoughts and the answer of a stream."""
    deltas = [event["choices"][0]["delta"] for event in events_of(got.body) if event["choices"]]
    return tuple("".join(delta.get(name) or "" for delta in deltas) for name in ("reasoning", "content"))


@pytest.fixture
async def stack(make_stack):
    made = await make_stack(strategies=built_in())
    made.one = await made.replica()
    return made


def plays(replica, *documents):
    """Each call gets the next of these, streamed where that is asked for."""
    left = list(documents)

    async def step(reader, writer):
        document = left.pop(0)
        streamed = replica.requests[-1].json.get("stream")
        made = replica.stream(*in_pieces(document)) if streamed else replica.whole(document)
        return await made(reader, writer)

    replica.will(step)


def thinking_then_calling():
    turn = calling(call(call_id="a1"), call(arguments='{"expression": "1+1"}', call_id="a2"))
    turn["choices"][0]["message"]["content"] = "Let me compute."
    return turn


async def test_native_turns_are_heard_and_decide_the_same(stack):
    stack.catalogue(capabilities=("tools",))
    plays(stack.one, *(thinking_then_calling(), answer("<think>Good.</think>It is 42.")) * 2)
    streamed, whole = await ask(stack, stream=True), await ask(stack)
    message = whole.json["choices"][0]["message"]
    reasoning, content = heard(streamed)
    assert content == message["content"] == "It is 42."
    assert reasoning == message["reasoning"]
    assert [line for line in reasoning.splitlines() if line in ("Let me compute.", "Good.", "42", "2")] == [
        *("Let me compute.", "42", "2", "Good."),
    ]
    first, second, third, fourth = (request.json for request in stack.one.requests)
    assert [each.pop("stream", False) for each in (first, second)] == [True, True]
    assert first["tools"] == third["tools"]
    assert [each["tool_calls"] for each in second["messages"] if "tool_calls" in each] == [
        each["tool_calls"] for each in fourth["messages"] if "tool_calls" in each
    ]
    partial = [
        event["zoran"] for event in events_of(streamed.body) if event.get("zoran", {}).get("partial")
    ]
    assert {each["kind"] for each in partial} == {"thought"}
    assert len(partial) > 4


async def test_turns_in_text_are_heard_up_to_their_action(stack):
    turn = 'Thought: I multiply.\nAction: calculator\nAction Input: {"expression": "6*7"}'
    plays(stack.one, answer(turn), answer("Thought: Done.\nFinal Answer: 42"))
    got = await ask(stack, stream=True, model=REACT)
    reasoning, content = heard(got)
    assert content == "42"
    assert "I multiply.\n" in reasoning
    partial = "".join(
        event["choices"][0]["delta"]["reasoning"]
        for event in events_of(got.body)
        if event.get("zoran", {}).get("partial")
    )
    assert partial == "I multiply.Done."


CALL = {"id": "c1", "type": "function", "function": {"name": "calculator", "arguments": '{"é": "6*7"}'}}
EXTRA = {"anthropic": {"thinking_blocks": [{"signature": "s1"}, {"signature": "s2"}]}}


@given(st.sets(st.integers(1, 30)), st.booleans())
def test_a_call_is_the_same_however_it_is_cut(cuts, numbered):
    place = {"index": 0} if numbered else {}
    pieces = CallsInPieces()
    pieces.feed({"tool_calls": [{**CALL, **place, "function": {**CALL["function"], "arguments": ""}}]})
    written = CALL["function"]["arguments"]
    for start, end in pairwise(sorted({0, len(written), *(cut for cut in cuts if cut < len(written))})):
        pieces.feed({"tool_calls": [{**place, "function": {"arguments": written[start:end]}}]})
    for block in EXTRA["anthropic"]["thinking_blocks"]:
        pieces.feed({"extra_content": {"anthropic": {"thinking_blocks": [block]}}})
    assert pieces.members() == {"tool_calls": [CALL], "extra_content": EXTRA}


def test_calls_without_numbers_are_told_apart_by_their_ids():
    pieces = CallsInPieces()
    decoded = {"id": "c2", "function": {"name": "odd", "arguments": {"a": 1}}}
    pieces.feed({"tool_calls": [CALL, decoded], "content": None})
    first, second = pieces.members()["tool_calls"]
    assert first == CALL
    assert json.loads(second["function"]["arguments"]) == {"a": 1}
    assert CallsInPieces().members() == {}


@pytest.mark.parametrize(
    "delta",
    [
        {"tool_calls": 3},
        {"tool_calls": ["x"]},
        {"tool_calls": [{"function": "x"}]},
        {"extra_content": "x"},
    ],
)
def test_a_delta_that_is_none(delta):
    spoken = Spoken(lambda text: None)
    event = {"choices": [{"index": 0, "delta": delta}]}
    with pytest.raises(UpstreamError):
        spoken.feed(b"data: " + json.dumps(event).encode() + b"\n\n")


def test_what_is_nested_without_end_is_not_joined_without_end():
    deep = {}
    for _ in range(900):
        deep = {"a": deep}
    pieces = CallsInPieces()
    pieces.feed({"tool_calls": [CALL], "extra_content": deep})
    pieces.feed({"extra_content": json.loads(json.dumps(deep))})
    assert "extra_content" in pieces.members()


def test_a_stream_has_a_longest_length(monkeypatch):
    monkeypatch.setattr("serve_apps.gateway.thinking_stream._MOST_BYTES", 100)
    spoken = Spoken(lambda text: None)
    with pytest.raises(UpstreamError):
        spoken.feed(b": nothing\n\n" * 10)
