from itertools import pairwise
from typing import Any

import pytest
from anthropic.types import ContentBlockParam, MessageCreateParams, ToolParam
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from zoran_ray.engines.providers.anthropic_request import DEFAULT_MAX_TOKENS, anthropic_body
from zoran_ray.errors import InvalidRequest

MODEL = "claude-opus-5-5"
HI = {"role": "user", "content": "Hi"}
TURNS = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
BARE = {"model": MODEL, "messages": TURNS, "max_tokens": DEFAULT_MAX_TOKENS}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "Tells it.", "parameters": SCHEMA}}
]
TOLD = [{"name": "weather", "input_schema": SCHEMA, "description": "Tells it."}]
NAMED = {"type": "function", "function": {"name": "weather"}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": SCHEMA}}
ADAPTIVE = {"type": "adaptive", "display": "summarized"}
BODY: TypeAdapter[Any] = TypeAdapter(MessageCreateParams)
BLOCK: TypeAdapter[Any] = TypeAdapter(ContentBlockParam)
TOOL: TypeAdapter[Any] = TypeAdapter(ToolParam)


def body(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    document = {"model": "anthropic/claude", "messages": list(messages) or [HI], **more}
    told = anthropic_body(document, MODEL)
    is_anthropics(told)
    return told


def is_anthropics(told: dict[str, Any]) -> None:
    """As the SDK's types have it; they look into arrays only where one asks."""
    BODY.validate_python(told)
    for turn in told["messages"]:
        for block in turn["content"]:
            BLOCK.validate_python(block)
    for tool in told.get("tools", ()):
        TOOL.validate_python(tool)


def turns(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = body(*messages)["messages"]
    return told


def call(call_id: str, arguments: str = '{"city":"Paris"}') -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "weather", "arguments": arguments}}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, {}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ({"stream": False}, {}),
        ({"temperature": 0, "top_p": 0.5, "top_k": 40}, {"temperature": 0.0, "top_p": 0.5, "top_k": 40}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 7, "max_tokens": 5}, {"max_tokens": 7}),
        ({"user": "u-1"}, {"metadata": {"user_id": "u-1"}}),
        ({"user": "u-1", "safety_identifier": "s-1"}, {"metadata": {"user_id": "s-1"}}),
        ({"response_format": {"type": "text"}}, {}),
        (
            {"response_format": FORMAT},
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        ),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_effort": "minimal"}, {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}),
        ({"reasoning_effort": "xhigh"}, {"thinking": ADAPTIVE, "output_config": {"effort": "xhigh"}}),
        (
            {"reasoning_effort": "high", "response_format": FORMAT},
            {
                "thinking": ADAPTIVE,
                "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
            },
        ),
        ({"thinking_token_budget": 0}, {"thinking": {"type": "disabled"}}),
        (
            {"thinking_token_budget": 2048},
            {
                "thinking": {"type": "enabled", "budget_tokens": 2048},
                "max_tokens": DEFAULT_MAX_TOKENS + 2048,
            },
        ),
        ({"tools": []}, {}),
        ({"tools": TOOLS}, {"tools": TOLD, "tool_choice": {"type": "auto"}}),
        ({"tools": TOOLS, "tool_choice": "none"}, {"tools": TOLD, "tool_choice": {"type": "none"}}),
        ({"tools": TOOLS, "tool_choice": "required"}, {"tools": TOLD, "tool_choice": {"type": "any"}}),
        (
            {"tools": TOOLS, "tool_choice": NAMED},
            {"tools": TOLD, "tool_choice": {"type": "tool", "name": "weather"}},
        ),
        (
            {"tools": TOOLS, "parallel_tool_calls": False},
            {"tools": TOLD, "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        ),
        (
            {"tools": TOOLS, "tool_choice": NAMED, "parallel_tool_calls": False},
            {
                "tools": TOLD,
                "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
            },
        ),
        (
            {"tools": TOOLS, "tool_choice": "none", "parallel_tool_calls": False},
            {"tools": TOLD, "tool_choice": {"type": "none"}},
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "now", "strict": True}}]},
            {
                "tools": [
                    {"name": "now", "input_schema": {"type": "object", "properties": {}}, "strict": True}
                ],
                "tool_choice": {"type": "auto"},
            },
        ),
    ],
)
def test_parameters(asked: dict[str, Any], told: dict[str, Any]) -> None:
    assert body(**asked) == {**BARE, **told}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"seed": 1}, "seed"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -0.5}, "presence_penalty"),
        ({"temperature": 1.1}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"reasoning_effort": "low", "thinking_token_budget": 5}, "thinking_token_budget"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"audio": {"voice": "alloy"}}, "audio"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"guided_json": {}}, "guided_json"),
        ({"verbosity": "low"}, "verbosity"),
    ],
)
def test_what_anthropic_cannot_do_is_refused_by_name(asked: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        body(**asked)
    assert raised.value.param == param


def test_messages_of_the_system_come_first() -> None:
    told = body(
        {"role": "system", "content": "Be brief."}, HI, {"role": "developer", "content": "Be kind."}, HI
    )
    assert told["system"] == [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]
    assert told["messages"] == [{"role": "user", "content": TURNS[0]["content"] * 2}]


def test_a_tool_loop() -> None:
    later = {"role": "user", "content": "Thanks."}
    answer = {"role": "assistant", "content": "\n", "tool_calls": [call("c1"), call("c2", "")]}
    results = [{"role": "tool", "tool_call_id": "c1", "content": "sunny"}]
    results.append({"role": "tool", "tool_call_id": "c2", "content": ""})
    assert turns(HI, answer, *results, later) == [
        TURNS[0],
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Paris"}},
                {"type": "tool_use", "id": "c2", "name": "weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "sunny"},
                {"type": "tool_result", "tool_use_id": "c2"},
                {"type": "text", "text": "Thanks."},
            ],
        },
    ]


def test_adjacent_answers_become_one_and_empty_ones_vanish() -> None:
    said = [{"role": "assistant", "content": text} for text in ("One.", "", "Two.")]
    assert turns(HI, *said, HI)[1] == {
        "role": "assistant",
        "content": [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}],
    }
    assert turns(HI, {"role": "assistant", "content": None}, HI) == [
        {"role": "user", "content": TURNS[0]["content"] * 2}
    ]


def test_images() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/webp;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
    ]
    assert turns({"role": "user", "content": parts})[0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "AAAA"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}},
    ]
    with pytest.raises(InvalidRequest) as raised:
        turns({"role": "user", "content": [{"type": "image_url", "image_url": "data:image/bmp;base64,AA"}]})
    assert raised.value.param == "messages[0].content[0].image_url"


def test_thinking_goes_back_where_it_stood() -> None:
    blocks = [
        {"type": "redacted_thinking", "data": "ZGF0YQ==", "index": 2},
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln", "index": 0},
        {"type": "thinking", "thinking": "Unsigned.", "index": 1},
        {"type": "text", "text": "Not thinking.", "index": 1},
        "nonsense",
    ]
    answer = {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [call("c1")],
        "extra_content": {"anthropic": {"thinking_blocks": blocks}, "google": {}},
    }
    told = turns(HI, answer, {"role": "tool", "tool_call_id": "c1", "content": "sunny"})
    assert told[1]["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "text", "text": "I look."},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Paris"}},
    ]


@pytest.mark.parametrize("extra", [None, 5, {"anthropic": 5}, {"anthropic": {"thinking_blocks": {}}}])
def test_strange_extra_content_is_ignored(extra: Any) -> None:
    answer = {"role": "assistant", "content": "Yes.", "extra_content": extra}
    assert turns(HI, answer, HI)[1]["content"] == [{"type": "text", "text": "Yes."}]


@given(st.text(min_size=1, max_size=200))
def test_ids_of_other_models_are_made_acceptable_and_still_belong_together(call_id: str) -> None:
    answer = {"role": "assistant", "tool_calls": [call(call_id)]}
    told = turns(HI, answer, {"role": "tool", "tool_call_id": call_id, "content": "x"})
    used, answered = told[1]["content"][0]["id"], told[2]["content"][0]["tool_use_id"]
    assert used == answered
    assert set(used) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    if call_id.isascii() and call_id.isalnum() and len(call_id) <= 128:
        assert used == call_id


spoken = st.text(min_size=1, max_size=20).filter(str.strip)
roles = st.sampled_from(["system", "user", "assistant"])


@given(st.lists(st.tuples(roles, spoken), max_size=8))
def test_every_word_gets_there_in_order_and_turns_alternate(said: list[tuple[str, str]]) -> None:
    told = body(*({"role": role, "content": text} for role, text in said), HI)
    assert [block["text"] for block in told.get("system", ())] == [
        t for role, t in said if role == "system"
    ]
    words = [(turn["role"], block["text"]) for turn in told["messages"] for block in turn["content"]]
    assert words == [(role, text) for role, text in said if role != "system"] + [("user", "Hi")]
    sides = [turn["role"] for turn in told["messages"]]
    assert all(one != other for one, other in pairwise(sides))


def test_the_clients_document_stays_as_it_is() -> None:
    extra = {"type": "object", "properties": {}}
    document = {"model": "m", "messages": [HI, HI], "tools": TOOLS, "response_format": FORMAT, "x": None}
    before = repr((document, extra))
    anthropic_body(document, MODEL)
    assert repr((document, extra)) == before
