"""What is said in a request and in its answer, and how something is said in between. Pure.

Knows the bodies and events of chat, responses and messages; everything in them may be of any shape.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson

from zoran_ray.wire.endpoint import Endpoint
from zoran_ray.wire.request import BYTES_PER_TOKEN, RequestBody

TALKS = frozenset({Endpoint.CHAT_COMPLETIONS, Endpoint.RESPONSES, Endpoint.MESSAGES})
"""Where somebody says something to somebody."""
_TEXT_PARTS = ("text", "input_text", "output_text")


def turns_of(body: RequestBody) -> list[Any]:
    """The messages of a conversation; a prompt that is one text is one message of the user."""
    if body.endpoint is Endpoint.RESPONSES:
        said = body.document.get("input")
        return [{"role": "user", "content": said}] if isinstance(said, str) else _list(said)
    return _list(body.document.get("messages"))


def text_of(turn: Any) -> str:
    """The text of one message, its parts joined by line ends; empty where it has none."""
    content = turn.get("content") if isinstance(turn, dict) else None
    if isinstance(content, str):
        return content
    return "\n".join(_text_parts(content))


def last_of_user(turns: list[Any]) -> int | None:
    """Where the last message stands in which the user says something; None where there is none."""
    for place in range(len(turns) - 1, -1, -1):
        turn = turns[place]
        if isinstance(turn, dict) and turn.get("role") == "user" and text_of(turn):
            return place
    return None


def with_notice(body: RequestBody, notice: str) -> RequestBody:
    """The body with something said by the system before the last message of the user.

    There and not at the beginning: the beginning is what the engine has in its cache from the turn before.
    Anthropic's messages know no system between them: there it is a part of the user's message, in front.

    Args:
        notice: What is said; empty for nothing.
    """
    turns = turns_of(body)
    place = last_of_user(turns)
    if not notice or place is None:
        return body
    if body.endpoint is Endpoint.MESSAGES:
        said = [*turns[:place], _opened(turns[place], notice), *turns[place + 1 :]]
    else:
        said = [*turns[:place], {"role": "system", "content": notice}, *turns[place:]]
    member = "input" if body.endpoint is Endpoint.RESPONSES else "messages"
    more = 1 + len(notice.encode()) // BYTES_PER_TOKEN
    return replace(
        rewritten(body, {**body.document, member: said}),
        prompt_tokens=body.prompt_tokens + more,
        estimated_tokens=body.estimated_tokens + more,
    )


def rewritten(body: RequestBody, document: dict[str, Any]) -> RequestBody:
    """The body with another document; what was concluded from the old one stays."""
    return replace(body, raw=orjson.dumps(document), document=document)


def answer_text(endpoint: Endpoint, data: bytes, *, streamed: bool) -> str:
    """What an answer says: of several choices the first.

    Args:
        data: The answer's bytes as they went to the client; they may break off.
        streamed: Whether they are events.
    """
    if streamed:
        return "".join(_piece(endpoint, event) for event in _events(data))
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        return ""
    return _whole(endpoint, document) if isinstance(document, dict) else ""


def _whole(endpoint: Endpoint, document: dict[str, Any]) -> str:
    if endpoint is Endpoint.CHAT_COMPLETIONS:
        choices = _list(document.get("choices"))
        return text_of(choices[0].get("message")) if choices and isinstance(choices[0], dict) else ""
    if endpoint is Endpoint.MESSAGES:
        return text_of(document)
    return "\n".join(filter(None, map(text_of, _list(document.get("output")))))


def _events(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.split(b"\n"):
        if line.startswith(b"data:"):
            try:
                event = orjson.loads(line[5:])
            except orjson.JSONDecodeError:
                continue  # `[DONE]`, or cut off
            if isinstance(event, dict):
                yield event


def _piece(endpoint: Endpoint, event: dict[str, Any]) -> str:
    """The text that one event of a stream adds."""
    piece: Any = None
    if endpoint is Endpoint.CHAT_COMPLETIONS:
        for choice in _list(event.get("choices"))[:1]:
            if isinstance(choice, dict) and not choice.get("index"):
                piece = _dict(choice.get("delta")).get("content")
    elif event.get("type") == "response.output_text.delta":
        piece = event.get("delta")
    elif event.get("type") == "content_block_delta":
        piece = _dict(event.get("delta")).get("text")
    return piece if isinstance(piece, str) else ""


def _opened(turn: dict[str, Any], notice: str) -> dict[str, Any]:
    """A message of the user with a notice before its first text; what else it holds keeps its place."""
    part, content = {"type": "text", "text": notice}, turn.get("content")
    if isinstance(content, str):
        return {**turn, "content": [part, {"type": "text", "text": content}]}
    parts = _list(content)
    first = next((place for place, each in enumerate(parts) if list(_text_parts([each]))), len(parts))
    return {**turn, "content": [*parts[:first], part, *parts[first:]]}


def _text_parts(content: Any) -> Iterator[str]:
    for part in _list(content):
        if isinstance(part, dict) and part.get("type") in _TEXT_PARTS:
            text = part.get("text")
            if isinstance(text, str) and text:
                yield text


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
