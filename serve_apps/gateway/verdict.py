"""What an answer is worth before anybody has said: the signs of a bad one, seen in the answer itself.

Weak evidence: the Resonator counts it far less than a score that a person or program gave. Knows OpenAI's
bodies of request and answer; streams pass by unread, so of those only their end is judged.
"""

from collections.abc import Mapping
from typing import Any

import orjson

GOOD, CUT_SHORT, BAD = 1.0, 0.5, 0.0


def implicit_score(asked: Mapping[str, Any], answer: object) -> float:
    """Score 0..1 of a whole answer: no answer, invalid JSON or no tool call where one was asked for are
    bad; one that ran out of tokens nobody had limited is cut short.

    Args:
        asked: The request's body.
        answer: The answer's JSON.
    """
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list):
        return GOOD  # not of this dialect
    if not choices:
        return BAD
    return min(_choice(asked, choice) for choice in choices)


def _choice(asked: Mapping[str, Any], choice: object) -> float:
    if not isinstance(choice, dict):
        return BAD
    message = choice.get("message")
    message = message if isinstance(message, dict) else {"content": choice.get("text")}
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list) or not all(_is_call(call) for call in calls):
        return BAD
    if not calls and (not message.get("content") or _must_call(asked) or not _is_format(asked, message)):
        return BAD
    limited = asked.get("max_tokens") or asked.get("max_completion_tokens")
    return CUT_SHORT if choice.get("finish_reason") == "length" and not limited else GOOD


def _must_call(asked: Mapping[str, Any]) -> bool:
    wanted = asked.get("tool_choice")
    return wanted == "required" or isinstance(wanted, dict)


def _is_call(call: object) -> bool:
    function = call.get("function") if isinstance(call, dict) else None
    return isinstance(function, dict) and isinstance(_json(function.get("arguments")), dict)


def _is_format(asked: Mapping[str, Any], message: Mapping[str, Any]) -> bool:
    wanted = asked.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    return kind not in ("json_object", "json_schema") or _json(message.get("content")) is not None


def _json(text: object) -> object:
    """What `text` says, None if it is no JSON."""
    try:
        return orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        return None
