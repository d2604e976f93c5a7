"""Reads what a model answered to a call of a strategy. Knows no request and no engine."""

from collections.abc import Mapping
from typing import Any

import orjson

from zoran_ray.errors import UpstreamError
from zoran_ray.reasoning.completion import Completion


def parsed(data: bytes) -> Any:
    """The JSON of an answer. Raises: UpstreamError: It is none."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        # Without its cause, which carries the whole answer.
        raise UpstreamError("The engine's answer is not valid JSON; try again.") from None


def choices_of(document: Any) -> tuple[Completion, ...]:
    """The answers in a chat completion, in order. Raises: UpstreamError: There is none."""
    try:
        choices = sorted(document["choices"], key=lambda choice: choice.get("index", 0))
        found = tuple(
            Completion(
                _text(choice["message"]),
                str(choice.get("finish_reason") or "stop"),
                choice["message"] if choice["message"].get("tool_calls") else None,
            )
            for choice in choices
        )
    except (KeyError, TypeError, AttributeError):
        found = ()
    if not found:
        raise UpstreamError("The engine's answer holds no choice; try again.")
    return found


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else ""
