"""Where Mistral's chat bodies differ from OpenAI's by more than the name of a member. Pure.

Source: docs.mistral.ai/api: ToolChoiceEnum, AssistantMessage, ThinkChunk, ToolCall and FinishReason.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from zoran_ray.wire import Endpoint

Body = dict[str, Any]

_CALL_ID = re.compile(r"[A-Za-z0-9]{9}")
_NULL_HAS_A_MEANING = frozenset({"content"})


def adapt(endpoint: Endpoint, body: Body) -> Body:
    """The rest of a request's body as Mistral takes it: no nulls, its names of roles, choices and calls."""
    body = {name: value for name, value in body.items() if value is not None}
    if endpoint is Endpoint.CHAT_COMPLETIONS:
        if body.get("tool_choice") == "required":
            body["tool_choice"] = "any"
        messages = body.get("messages")
        if isinstance(messages, list):
            body["messages"] = [_message(each) for each in messages]
    return body


def restore(document: Body) -> Body:
    """An answer or chunk as OpenAI has it; the same object if it already was."""
    choices = document.get("choices")
    if not isinstance(choices, list):
        return document
    restored = [_choice(each) for each in choices]
    if all(new is old for new, old in zip(restored, choices, strict=True)):
        return document
    return {**document, "choices": restored}


def _message(message: Any) -> Any:
    """A message without its nulls, which Mistral refuses as members it does not know."""
    if not isinstance(message, Mapping):
        return message
    kept = {
        name: value for name, value in message.items() if value is not None or name in _NULL_HAS_A_MEANING
    }
    if kept.get("role") == "developer":
        kept["role"] = "system"
    if isinstance(call_id := kept.get("tool_call_id"), str):
        kept["tool_call_id"] = _call_id(call_id)
    if isinstance(calls := kept.get("tool_calls"), list):
        kept["tool_calls"] = [_sent_call(call) for call in calls]
    return kept


def _sent_call(call: Any) -> Any:
    if not isinstance(call, Mapping) or not isinstance(call.get("id"), str):
        return call
    return {**call, "id": _call_id(call["id"])}


def _call_id(call_id: str) -> str:
    """Nine letters and digits, as Mistral demands: its own ids as they are, those of others as a digest.

    Source: its error 3280, "Tool call id was … but must be a-z, A-Z, 0-9, with a length of 9."
    """
    if _CALL_ID.fullmatch(call_id):
        return call_id
    return blake2b(call_id.encode(errors="replace"), digest_size=5).hexdigest()[:9]


def _choice(choice: Any) -> Any:
    if not isinstance(choice, Mapping):
        return choice
    changed: Body = {}
    for name in ("message", "delta"):
        if isinstance(told := choice.get(name), Mapping) and (better := _told(told)):
            changed[name] = {**told, **better}
    if choice.get("finish_reason") == "model_length":
        changed["finish_reason"] = "length"
    return {**choice, **changed} if changed else choice


def _told(message: Mapping[str, Any]) -> Body:
    """The members of a message or delta that have to change."""
    changed: Body = {}
    if isinstance(content := message.get("content"), list) and (texts := _texts(content)) is not None:
        changed["content"], reasoning = texts
        if reasoning:
            changed["reasoning"] = reasoning
    calls = message.get("tool_calls")
    if isinstance(calls, list) and any(
        isinstance(call, Mapping) and not call.get("type") for call in calls
    ):
        changed["tool_calls"] = [
            {**call, "type": "function"} if isinstance(call, Mapping) else call for call in calls
        ]
    return changed


def _texts(content: list[Any]) -> tuple[str, str] | None:
    """Text and thinking of a content list; None if it holds what has no place in OpenAI's message."""
    said, thought = [], []
    for part in content:
        match part:
            case {"type": "text", "text": str(text)}:
                said.append(text)
            case {"type": "thinking", "thinking": [*pieces]}:
                for piece in pieces:
                    match piece:
                        case {"type": "text", "text": str(text)}:
                            thought.append(text)
                        case _:
                            return None
            case _:
                return None
    return "".join(said), "".join(thought)
