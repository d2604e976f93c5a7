import json
from itertools import pairwise
from typing import Any

import pytest
from anthropic.types import RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.engines.providers.fake_anthropic import (
    encoded,
    error,
    events,
    message,
    redacted,
    text,
    thinking,
    tool_use,
)
from tests.engines.providers.openai_shapes import (
    agrees_with_openai,
    from_chunks,
    from_completion,
    kept_by_a_client,
)
from tests.engines.providers.test_anthropic_answer import ANSWERS
from zoran_ray.engines.providers.anthropic_answer import anthropic_completion
from zoran_ray.engines.providers.anthropic_request import anthropic_body
from zoran_ray.engines.providers.anthropic_stream import AnthropicStream
from zoran_ray.engines.providers.framing import Frames
from zoran_ray.engines.providers.refusals import Refusals
from zoran_ray.errors import ProviderBusy, UpstreamError, ZoranError

REPORTED = Refusals("Anthropic", None, lambda: 0.0).reported


def chunks(told: list[Any]) -> list[dict[str, Any]]:
    stream = AnthropicStream(5, REPORTED)
    made = [chunk for event in told for chunk in stream.feed(event)]
    return made + stream.close()


leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
values = st.recursive(leaves, lambda deeper: st.lists(deeper, max_size=3), max_leaves=6)
arguments = st.dictionaries(st.text(max_size=5), values, max_size=3)
blocks = st.one_of(
    st.text(max_size=20).map(text),
    st.builds(thinking, st.text(max_size=20), st.text("abc=", min_size=1, max_size=5)),
    st.just(redacted()),
    st.builds(tool_use, st.uuids().map(str), st.text("abc", min_size=1, max_size=5), arguments),
)
answers = st.builds(
    lambda told, stop: message(*told, stop=stop),
    st.lists(blocks, max_size=5),
    st.sampled_from(["end_turn", "max_tokens", "stop_sequence", "tool_use"]),
)
sizes = st.lists(st.integers(1, 7), min_size=1, max_size=5)


@given(answers, sizes)
def test_a_streamed_answer_says_what_the_whole_one_says(answer: dict[str, Any], sizes: list[int]) -> None:
    streamed = from_chunks(chunks(events(answer, sizes)))
    assert streamed == from_completion(anthropic_completion(answer, 5))


@given(answers, sizes, st.lists(st.integers(0, 10_000), max_size=30))
def test_how_the_network_cuts_the_stream_makes_no_difference(
    answer: dict[str, Any], sizes: list[int], cuts: list[int]
) -> None:
    told = events(answer, sizes)
    stream = encoded(told)
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    frames = Frames()
    read = [json.loads(event.data) for a, b in pairwise(edges) for event in frames.feed(stream[a:b])]
    assert chunks(read) == chunks(told)


@pytest.mark.parametrize("name", ANSWERS)
def test_streams_are_what_both_sides_describe(name: str) -> None:
    told = events(ANSWERS[name], (3,))
    described: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    for event in told:
        if event["type"] != "ping":
            described.validate_python(event)
    made = chunks(told)
    assert from_chunks(made) == from_completion(anthropic_completion(ANSWERS[name], 5))
    for chunk in made:
        agrees_with_openai(chunk, "CreateChatCompletionStreamResponse")


@given(sizes)
def test_what_a_client_keeps_of_a_stream_can_be_sent_back(sizes: list[int]) -> None:
    said = [thinking("Hm."), text("I look."), redacted(), tool_use("t1", "weather", {"city": "Orléans"})]
    kept = kept_by_a_client(chunks(events(message(*said, stop="tool_use"), sizes)))
    result = {"role": "tool", "tool_call_id": "t1", "content": "sunny"}
    sent = anthropic_body({"messages": [{"role": "user", "content": "Hi"}, kept, result]}, "claude")
    said[1] = {"type": "text", "text": "I look."}
    assert sent["messages"][1] == {"role": "assistant", "content": said}


def test_pieces_are_passed_on_at_once() -> None:
    stream = AnthropicStream(5, REPORTED)
    told = events(message(text("Sunny."), tool_use("t1", "f", {"a": 1}), stop="tool_use"), (4,))
    deltas = [[c["choices"][0]["delta"] for c in stream.feed(e) if c["choices"]] for e in told]
    assert [each for each in deltas if each] == [
        [{"role": "assistant", "content": ""}],
        [{"content": "Sunn"}],
        [{"content": "y."}],
        [
            {
                "tool_calls": [
                    {"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": ""}}
                ]
            }
        ],
        [{"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}],
        [{"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}],
        [{}],
    ]


def test_later_counts_replace_earlier_ones() -> None:
    told = events(message(text("x")))
    told[-2]["usage"] = {"output_tokens": 50, "input_tokens": 2, "cache_read_input_tokens": None}
    assert chunks(told)[-1]["usage"] == {
        "prompt_tokens": 2 + 3 + 5,
        "completion_tokens": 50,
        "total_tokens": 60,
        "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }


def test_unknown_events_blocks_and_deltas_are_left_out() -> None:
    told = events(message(text("Sunny."), {"type": "server_tool_use", "id": "s", "name": "n", "input": {}}))
    told.insert(1, {"type": "something_new"})
    told.insert(4, {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta"}})
    assert from_chunks(chunks(told))["choices"][0]["content"] == "Sunny."


def test_texts_a_block_begins_with() -> None:
    begun = [
        {"type": "content_block_start", "index": 0, "content_block": thinking("Hm")},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": text("Sunny.")},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": tool_use("t", "f", {"a": 1})},
        {"type": "content_block_stop", "index": 2},
    ]
    told = events(message())
    said = from_chunks(chunks([told[0], *begun, *told[1:]]))["choices"][0]
    assert (said["reasoning"], said["content"]) == ("Hm", "Sunny.")
    assert said["calls"] == [("t", "f", {"a": 1}, None)]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded_error", ProviderBusy),
        ("rate_limit_error", ProviderBusy),
        ("api_error", UpstreamError),
        ("timeout_error", UpstreamError),
        ("something_new", UpstreamError),
    ],
)
def test_an_error_event_ends_the_stream(kind: str, expected: type[ZoranError]) -> None:
    with pytest.raises(expected) as raised:
        chunks([*events(message(text("Sunny.")))[:4], error(kind, "prompt-canary")])
    assert "prompt-canary" not in raised.value.message


@pytest.mark.parametrize("length", range(7))
def test_a_stream_that_ends_too_soon_is_an_upstream_error(length: int) -> None:
    told = events(message(text("Sunny.")))
    with pytest.raises(UpstreamError, match="broke off"):
        chunks(told[:length])


START, DELTA, STOP = "content_block_start", "content_block_delta", "content_block_stop"


@pytest.mark.parametrize(
    "told",
    [
        [5],
        [{"type": "message_start"}],
        [{"type": "message_start", "message": {"id": "m"}}],
        [events(message())[0]] * 2,
        [{"type": "message_stop"}],
        [*events(message()), {"type": "ping"}],
        [{"type": START, "index": 0, "content_block": text("x")}],
        [{"type": START, "index": "0", "content_block": text("")}],
        [{"type": START, "index": 0, "content_block": None}],
        [events(message())[0], *[{"type": START, "index": 0, "content_block": text("")}] * 2],
        [{"type": START, "index": 0, "content_block": {"type": "tool_use"}}],
        [{"type": DELTA, "index": 0, "delta": {"type": "text_delta", "text": "x"}}],
        [{"type": STOP, "index": 0}],
    ],
)
def test_what_is_no_stream_of_anthropics_is_an_upstream_error(told: list[Any]) -> None:
    with pytest.raises(UpstreamError):
        chunks(told)
