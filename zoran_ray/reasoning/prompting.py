"""Puts what a strategy asks for into a conversation. What is common comes first, what varies last.

Calls that begin alike share their prefix in the engine's cache.
"""

from collections.abc import Sequence
from typing import Any

from zoran_ray.reasoning.completion import Message


def with_request(messages: Sequence[Message], request: str) -> tuple[Message, ...]:
    """The conversation with something to do at the end of its last message.

    Many chat templates want the roles to alternate: a message of its own is added only where the last
    one is not the user's.
    """
    if not messages or messages[-1].get("role") != "user":
        return (*messages, user(request))
    content = messages[-1].get("content")
    longer: Any
    if isinstance(content, str):
        longer = f"{content}\n\n{request}"
    else:
        longer = [*(content or ()), {"type": "text", "text": request}]
    return (*messages[:-1], {**messages[-1], "content": longer})


def user(text: str) -> Message:
    """A message of the user."""
    return {"role": "user", "content": text}


def system(text: str) -> Message:
    """A message of the system."""
    return {"role": "system", "content": text}


def question_of(messages: Sequence[Message]) -> str:
    """The text of the last message of the user; empty where there is none."""
    for message in reversed(messages):
        if message.get("role") == "user":
            return _text(message.get("content"))
    return ""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list | tuple) else ()
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))
