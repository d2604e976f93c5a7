from typing import Any

import pytest
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.providers.fake_anthropic import MODEL, message, redacted, text, thinking, tool_use
from tests.engines.providers.openai_shapes import agrees_with_openai, from_completion
from zoran_ray.engines.providers.anthropic_answer import anthropic_completion, tokens
from zoran_ray.engines.providers.anthropic_request import anthropic_body
from zoran_ray.errors import UpstreamError

ANSWERS = {
    "plain": message(text("It is "), text("sunny.")),
    "empty": message(),
    "cut": message(text("It is"), stop="max_tokens"),
    "stopped": message(text("It is"), stop="stop_sequence", stop_sequence="END"),
    "thinking": message(thinking("Let me see."), redacted(), text("Sunny.")),
    "calls": message(
        thinking("Hm."),
        text("I look."),
        tool_use("t1", "weather", {"city": "Paris", "days": [1, 2]}),
        tool_use("t2", "now", {}),
        stop="tool_use",
    ),
    "refused": message(
        stop="refusal", stop_details={"type": "refusal", "category": "cyber", "explanation": "No."}
    ),
}


def completion(answer: Any) -> dict[str, Any]:
    return anthropic_completion(answer, created=5)


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_what_both_sides_describe(name: str) -> None:
    Message.model_validate(ANSWERS[name])
    told = completion(ANSWERS[name])
    from_completion(told)
    agrees_with_openai(told, "CreateChatCompletionResponse")


def test_a_plain_answer() -> None:
    assert completion(ANSWERS["plain"]) == {
        "id": "msg_01",
        "object": "chat.completion",
        "created": 5,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "It is sunny.", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 20,
            "completion_tokens": 9,
            "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 4},
        },
    }


def test_calls_and_thoughts() -> None:
    told = completion(ANSWERS["calls"])["choices"][0]
    assert told["finish_reason"] == "tool_calls"
    assert told["message"] == {
        "role": "assistant",
        "content": "I look.",
        "refusal": None,
        "reasoning": "Hm.",
        "tool_calls": [
            {
                "id": "t1",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city":"Paris","days":[1,2]}'},
            },
            {"id": "t2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
        ],
        "extra_content": {"anthropic": {"thinking_blocks": [{**thinking("Hm."), "index": 0}]}},
    }


def test_only_calls_leave_no_content() -> None:
    told = completion(message(tool_use("t1", "now", {}), stop="tool_use"))
    assert told["choices"][0]["message"]["content"] is None


def test_an_answer_sent_back_is_the_answer() -> None:
    answer = ANSWERS["calls"]
    said = completion(answer)["choices"][0]["message"]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "x"} for call in said["tool_calls"]]
    document = {"messages": [{"role": "user", "content": "Hi"}, said, *results]}
    sent = anthropic_body(document, MODEL)["messages"][1]["content"]
    assert sent == [{k: v for k, v in block.items() if v is not None} for block in answer["content"]]


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
        (None, "stop"),
    ],
)
def test_finish_reasons(stop: str | None, finish: str) -> None:
    assert completion(message(text("x"), stop=stop))["choices"][0]["finish_reason"] == finish


def test_a_refusal_says_why() -> None:
    said = completion(ANSWERS["refused"])["choices"][0]["message"]
    assert (said["content"], said["refusal"]) == (None, "No.")
    said = completion(message(text("I "), stop="refusal"))["choices"][0]["message"]
    assert (said["content"], said["refusal"]) == ("I ", None)


counts = st.integers(0, 10**9)
names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(names, counts | st.none())), counts)
def test_tokens_add_up(usage: dict[str, Any], thought: int) -> None:
    told = tokens({**usage, "output_tokens_details": {"thinking_tokens": thought}}).told()
    stated = {name: usage.get(name) or 0 for name in names}
    assert told["prompt_tokens"] == sum(stated.values()) - stated["output_tokens"]
    assert told["completion_tokens"] == stated["output_tokens"]
    assert told["total_tokens"] == told["prompt_tokens"] + told["completion_tokens"]
    assert told["prompt_tokens_details"]["cached_tokens"] == stated["cache_read_input_tokens"]
    assert told["completion_tokens_details"]["reasoning_tokens"] == thought


def test_unknown_blocks_are_left_out() -> None:
    told = completion(message({"type": "server_tool_use", "id": "s"}, text("Sunny.")))
    assert told["choices"][0]["message"]["content"] == "Sunny."


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "sunny",
        [],
        {},
        {**message(), "content": None},
        {**message(), "content": "sunny"},
        {**message(), "id": None},
        {**message(), "model": 5},
        message({"type": "text"}),
        message({"type": "thinking", "thinking": 5}),
        message({"type": "tool_use", "id": "t1", "name": "now", "input": "{}"}),
        message({"type": "tool_use", "name": "now", "input": {}}),
    ],
)
def test_what_is_no_message_is_an_upstream_error(answer: Any) -> None:
    with pytest.raises(UpstreamError):
        completion(answer)


def test_arguments_too_deep_to_be_written_are_an_upstream_error() -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"a": deep}
    with pytest.raises(UpstreamError, match="deep"):
        completion(message(tool_use("t1", "now", deep)))
