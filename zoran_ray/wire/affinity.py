"""Which requests share a prompt prefix and so are best sent to the same replica. Pure."""

from hashlib import blake2b
from typing import Any

import orjson

from zoran_ray.wire.endpoint import Endpoint

_KEYS = ("prompt_cache_key", "session_id", "user")
_MAX_CHARS = 2048
"""Of each opening message. More costs time and tells no more conversations apart."""
_MAX_TOKENS = 512
_EPHEMERAL = "x-anthropic-billing-header"
"""Claude Code begins its system text with a hash of the request; vLLM leaves that out of the prompt."""
_MAX_OPENING = 8
"""Messages looked through for the first one of the user."""


def affinity_of(endpoint: Endpoint, document: dict[str, Any]) -> int | None:
    """A 64-bit number, the same for every turn of one conversation, in every process.

    What the caller names (`prompt_cache_key`, `session_id`, `user`, Anthropic's `metadata.user_id`)
    goes before what the conversation begins with. None if there is nothing to go by, or where no
    prefix is kept (embeddings, token counts).
    """
    if not endpoint.streams:
        return None
    named = _named(document)
    opening = named if named is not None else _opening(endpoint, document)
    if not opening:
        return None
    return int.from_bytes(blake2b(opening, digest_size=8).digest())


def _named(document: dict[str, Any]) -> bytes | None:
    for key in _KEYS:
        if type(value := document.get(key)) is str and value:
            return f"{key}:{value}".encode()
    metadata = document.get("metadata")
    if type(metadata) is dict and type(value := metadata.get("user_id")) is str and value:
        return f"user_id:{value}".encode()
    return None


def _opening(endpoint: Endpoint, document: dict[str, Any]) -> bytes:
    match endpoint:
        case Endpoint.COMPLETIONS:
            return _prompt(document.get("prompt"))
        case Endpoint.RESPONSES:
            return _conversation(document.get("instructions"), document.get("input"))
        case _:
            return _conversation(document.get("system"), document.get("messages"))


def _prompt(prompt: Any) -> bytes:
    if type(prompt) is list and prompt and type(prompt[0]) in (str, list):
        prompt = prompt[0]
    return orjson.dumps(prompt[:_MAX_TOKENS]) if type(prompt) is list else _text(prompt).encode()


def _conversation(system: Any, messages: Any) -> bytes:
    """System text and the first user message."""
    opening = [_text(system)]
    if type(messages) is str:
        opening.append(messages[:_MAX_CHARS])
    elif type(messages) is list:
        for message in messages[:_MAX_OPENING]:
            if type(message) is dict:
                opening.append(_text(message.get("content")))
                if message.get("role") == "user":
                    break
    return "\0".join(opening).strip("\0").encode()


def _text(content: Any) -> str:
    """The text of a message: itself, or its first text part that is not different every time."""
    if type(content) is str:
        return content[:_MAX_CHARS]
    if type(content) is list:
        for part in content:
            text = part.get("text") if type(part) is dict else None
            if type(text) is str and not text.startswith(_EPHEMERAL):
                return text[:_MAX_CHARS]
    return ""
