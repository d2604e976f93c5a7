"""What OpenAI's clients make of answers and of streams; checks them on the way with OpenAI's own types."""

import json
from typing import Any

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.integration.openai_spec import deviations


def from_completion(document: dict[str, Any]) -> dict[str, Any]:
    """What a whole answer says."""
    ChatCompletion.model_validate(document)
    return {
        "id": document["id"],
        "model": document["model"],
        "usage": document["usage"],
        "choices": {each["index"]: _message(each) for each in document["choices"]},
    }


def from_chunks(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """What a stream says in the end. It begins with a role in every choice and ends with the usage."""
    assert chunks[-1]["choices"] == []
    assert all("usage" not in chunk for chunk in chunks[:-1])
    assert len({(chunk["id"], chunk["model"], chunk["created"]) for chunk in chunks}) == 1
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
        for each in chunk["choices"]:
            _take(choices, each)
    assert all(said["finish"] for said in choices.values())
    return {
        "id": chunks[0]["id"],
        "model": chunks[0]["model"],
        "usage": chunks[-1]["usage"],
        "choices": choices,
    }


def parsed(stream: bytes) -> list[dict[str, Any]]:
    """The chunks of a stream as OpenAI frames it."""
    *told, done, rest = stream.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    assert all(event.startswith("data: ") for event in told)
    return [json.loads(event.removeprefix("data: ")) for event in told]


def agrees_with_openai(document: dict[str, Any], schema: str) -> None:
    """As OpenAI's published description has it; skips the test where that is missing."""
    assert not deviations(document, schema)


def _message(choice: dict[str, Any]) -> dict[str, Any]:
    message = choice["message"]
    calls = [
        (
            call["id"],
            call["function"]["name"],
            json.loads(call["function"]["arguments"]),
            call.get("extra_content"),
        )
        for call in message.get("tool_calls", ())
    ]
    return {
        "content": message["content"] or "",
        "reasoning": message.get("reasoning", ""),
        "refusal": message["refusal"],
        "calls": calls,
        "extra": message.get("extra_content", {}),
        "logprobs": choice["logprobs"],
        "finish": choice["finish_reason"],
    }


def _take(choices: dict[int, dict[str, Any]], choice: dict[str, Any]) -> None:
    delta, index = choice["delta"], choice["index"]
    if index not in choices:
        assert delta["role"] == "assistant"
        choices[index] = {
            "content": "",
            "reasoning": "",
            "refusal": None,
            "calls": [],
            "extra": {},
            "logprobs": None,
            "finish": None,
        }
    said = choices[index]
    assert said["finish"] is None, "nothing follows the end of a choice"
    said["finish"] = choice["finish_reason"]
    said["content"] += delta.get("content", "")
    said["reasoning"] += delta.get("reasoning", "")
    said["refusal"] = delta.get("refusal", said["refusal"])
    if found := choice.get("logprobs"):
        before = said["logprobs"] or {"content": [], "refusal": None}
        said["logprobs"] = {**before, "content": before["content"] + found["content"]}
    said["extra"] = _merged(said["extra"], delta.get("extra_content", {}))
    said["calls"] = _calls(said["calls"], delta.get("tool_calls", ()))
    if said["finish"]:
        said["calls"] = [(i, name, json.loads(text), extra) for i, name, text, extra in said["calls"]]


def _calls(calls: list[Any], deltas: Any) -> list[Any]:
    for delta in deltas:
        function, at = delta["function"], delta["index"]
        if at == len(calls):
            calls.append((delta["id"], function["name"], "", delta.get("extra_content")))
        call_id, name, text, extra = calls[at]
        calls[at] = (call_id, name, text + function["arguments"], extra)
    return calls


def _merged(before: Any, more: Any) -> Any:
    """As OpenAI's SDK accumulates members that it does not know."""
    if isinstance(before, dict):
        return {
            **before,
            **{
                name: _merged(before[name], each) if name in before else each for name, each in more.items()
            },
        }
    return before + more


def kept_by_a_client(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that OpenAI's SDK puts together from a stream, as an application sends it back."""
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    return state.get_final_completion().choices[0].message.model_dump()
