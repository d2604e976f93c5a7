"""What is said in a request and in its answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.wire import Endpoint, Limits, parse
from zoran_ray.wire.talk import TALKS, answer_text, last_of_user, text_of, turns_of, with_notice

CHAT, RESPONSES, MESSAGES = Endpoint.CHAT_COMPLETIONS, Endpoint.RESPONSES, Endpoint.MESSAGES
USER = {"role": "user", "content": "Hello"}


def body(endpoint, **fields):
    return parse(json.dumps({"model": "m", **fields}).encode(), endpoint, Limits())


def test_a_notice_stands_before_the_last_message_of_the_user():
    turns = [{"role": "system", "content": "S"}, USER, {"role": "assistant", "content": "Hi"}, USER]
    asked = body(CHAT, messages=turns)
    told = with_notice(asked, "N")
    assert json.loads(told.raw) == told.document
    assert told.document["messages"] == [*turns[:3], {"role": "system", "content": "N"}, USER]
    assert told.affinity == asked.affinity
    assert told.prompt_tokens == asked.prompt_tokens + 1
    assert told.estimated_tokens == asked.estimated_tokens + 1
    assert asked.document["messages"] == turns


def test_after_a_tools_answer_it_stands_before_the_question():
    turns = [
        USER,
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": "4"},
    ]
    said = with_notice(body(CHAT, messages=turns), "N").document["messages"]
    assert said == [{"role": "system", "content": "N"}, *turns]


def test_responses_take_text_and_items():
    notice = {"role": "system", "content": "N"}
    assert with_notice(body(RESPONSES, input="Hello"), "N").document["input"] == [notice, USER]
    items = [{"type": "function_call_output", "output": "x"}, {**USER, "type": "message"}]
    assert with_notice(body(RESPONSES, input=items), "N").document["input"] == [items[0], notice, items[1]]


def test_anthropics_messages_take_it_as_a_part():
    part, hello = {"type": "text", "text": "N"}, {"type": "text", "text": "Hello"}
    said = with_notice(body(MESSAGES, messages=[USER], max_tokens=5), "N").document["messages"]
    assert said == [{"role": "user", "content": [part, hello]}]
    result = {"type": "tool_result", "tool_use_id": "t", "content": "4"}
    turns = [{"role": "user", "content": [result, hello]}]
    said = with_notice(body(MESSAGES, messages=turns, max_tokens=5), "N").document["messages"]
    assert said[0]["content"] == [result, part, hello]


def test_where_nobody_speaks_or_nothing_is_said_all_stays():
    asked = body(CHAT, messages=[{"role": "assistant", "content": "Hi"}])
    assert with_notice(asked, "N") is asked
    asked = body(CHAT, messages=[USER])
    assert with_notice(asked, "") is asked


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "text", "type", "choices", "delta", "index", "message", "output"]
            ),
            inner | st.sampled_from(["user", "text", "response.output_text.delta", "content_block_delta"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(sorted(TALKS, key=lambda e: e.path)), values)
def test_any_shape_is_read(endpoint, value):
    whole = json.dumps(value).encode()
    assert isinstance(answer_text(endpoint, whole, streamed=False), str)
    assert isinstance(answer_text(endpoint, b"data: " + whole + b"\n\n", streamed=True), str)
    assert isinstance(text_of(value), str)
    turns = value if isinstance(value, list) else [value]
    place = last_of_user(turns)
    assert place is None or text_of(turns[place])
    if endpoint is RESPONSES:
        assert isinstance(turns_of(body(RESPONSES, input="x")), list)


CHAT_EVENTS = (
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":"He"}}]}\n\n'
    b'data: {"choices":[{"index":1,"delta":{"content":"No"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":"llo"}}]}\n\n'
    b'data: {"choices":[],"usage":{}}\n\ndata: [DONE]\n\n'
)


@pytest.mark.parametrize(
    ("endpoint", "data"),
    [
        (CHAT, CHAT_EVENTS),
        (
            RESPONSES,
            b"event: response.output_text.delta\n"
            b'data: {"type":"response.output_text.delta","delta":"He"}\n\n'
            b'data: {"type":"response.output_text.delta","delta":"llo"}\n\n'
            b'data: {"type":"response.completed"}\n\n',
        ),
        (
            MESSAGES,
            b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":'
            b'{"type":"text_delta","text":"He"}}\n\ndata: {"type":"content_block_delta","delta":'
            b'{"type":"text_delta","text":"llo"}}\n\n',
        ),
    ],
)
def test_a_stream_says_what_its_pieces_say(endpoint, data):
    assert answer_text(endpoint, data, streamed=True) == "Hello"
    for cut in range(len(data)):
        assert "Hello".startswith(answer_text(endpoint, data[:cut], streamed=True))


@pytest.mark.parametrize(
    ("endpoint", "document"),
    [
        (CHAT, {"choices": [{"message": {"content": "Hello"}}, {"message": {"content": "No"}}]}),
        (RESPONSES, {"output": [{"content": [{"type": "output_text", "text": "Hello"}]}, {"type": "x"}]}),
        (MESSAGES, {"content": [{"type": "text", "text": "Hello"}, {"type": "tool_use"}]}),
    ],
)
def test_a_whole_answer_says_its_text(endpoint, document):
    assert answer_text(endpoint, json.dumps(document).encode(), streamed=False) == "Hello"
    assert answer_text(endpoint, b"{", streamed=False) == ""
