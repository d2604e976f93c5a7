from typing import Any

import pytest

from zoran_ray.engines.providers.mistral import adapt, restore
from zoran_ray.wire import Endpoint

THINKING = {
    "type": "thinking",
    "thinking": [{"type": "text", "text": "17+"}, {"type": "text", "text": "25"}],
}
SAID = {"type": "text", "text": "42"}
CALL = {"id": "D681PevKs", "function": {"name": "add", "arguments": "{}"}}


def sent(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = adapt(Endpoint.CHAT_COMPLETIONS, {"messages": list(messages)})["messages"]
    return kept


def told(**choice: Any) -> dict[str, Any]:
    restored: dict[str, Any] = restore({"id": "1", "choices": [{"index": 0, **choice}]})["choices"][0]
    return restored


def test_nulls_of_other_answers_are_left_out_of_the_history() -> None:
    message = {"role": "assistant", "content": None, "refusal": None, "audio": None, "tool_calls": [CALL]}
    assert sent(message) == [{"role": "assistant", "content": None, "tool_calls": [CALL]}]


def test_call_ids_of_other_providers_become_mistrals_and_still_match() -> None:
    call = CALL | {"id": "call_PTLP8xhu3uwZk4l3nlnrrJha"}
    asking, answering = sent(
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "42"},
    )
    new = asking["tool_calls"][0]["id"]
    assert new == answering["tool_call_id"] != call["id"]
    assert len(new) == 9
    assert new.isascii()
    assert new.isalnum()
    assert call["id"].startswith("call_"), "the client's own document was changed"


def test_its_own_call_ids_stay() -> None:
    assert (
        sent({"role": "tool", "tool_call_id": "D681PevKs", "content": "x"})[0]["tool_call_id"]
        == "D681PevKs"
    )


@pytest.mark.parametrize(
    "messages", [None, "x", [None, 3, {"tool_calls": ["x", {"id": 3}]}, {"tool_calls": "x"}]]
)
def test_what_is_no_conversation_is_left_for_mistral_to_refuse(messages: Any) -> None:
    body = adapt(Endpoint.CHAT_COMPLETIONS, {"messages": messages})
    assert body == ({} if messages is None else {"messages": messages})


@pytest.mark.parametrize("holder", ["message", "delta"])
def test_thinking_becomes_reasoning(holder: str) -> None:
    restored = told(**{holder: {"role": "assistant", "content": [THINKING, SAID]}})[holder]
    assert restored == {"role": "assistant", "content": "42", "reasoning": "17+25"}


def test_text_in_parts_becomes_text() -> None:
    assert told(delta={"content": [SAID, SAID]})["delta"] == {"content": "4242"}


@pytest.mark.parametrize(
    "part", [{"type": "reference", "reference_ids": [1]}, {"type": "image_url"}, "x", None]
)
def test_what_has_no_place_in_openais_message_is_not_dropped(part: Any) -> None:
    assert told(delta={"content": [SAID, part]})["delta"] == {"content": [SAID, part]}


def test_a_full_context_is_a_length() -> None:
    assert told(delta={}, finish_reason="model_length")["finish_reason"] == "length"


def test_a_call_gets_its_type() -> None:
    assert told(message={"content": "", "tool_calls": [CALL]})["message"]["tool_calls"] == [
        CALL | {"type": "function"}
    ]


@pytest.mark.parametrize(
    "document",
    [
        {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}], "usage": {}},
        {"choices": [{"delta": {"tool_calls": [CALL | {"type": "function"}]}}]},
        {"choices": [None, 3, {"message": None}]},
        {"choices": None},
        {"data": []},
    ],
)
def test_what_is_openais_already_stays_the_same_object(document: dict[str, Any]) -> None:
    assert restore(document) is document
