"""A request in any of the three dialects as a conversation in that of chat completions. Pure.

Strategies hear texts and pictures. What else a request may bring along (tools, formats, several answers)
they cannot honour, so it is refused by name and not left out in silence.
"""

from collections.abc import Iterator
from typing import Any

from zoran_ray.errors import InvalidRequest
from zoran_ray.wire import Endpoint, RequestBody
from zoran_ray.wire.talk import turns_of

Turn = dict[str, Any]

_REFUSED = (
    *("tools", "functions", "logprobs", "top_logprobs", "audio", "prediction", "structured_outputs"),
    *("previous_response_id", "conversation", "prompt", "background", "web_search_options", "best_of"),
)
_ROLES = frozenset({"system", "developer", "user", "assistant"})
_TEXTS = frozenset({"text", "input_text", "output_text"})
_THOUGHTS = frozenset({"thinking", "redacted_thinking", "reasoning"})
"""Of earlier turns; a model is not shown them again."""


def conversation_of(body: RequestBody) -> list[Turn]:
    """The messages of a request.

    Raises:
        InvalidRequest: It asks for what no strategy does; `param` names it.
    """
    document = body.document
    _check(document)
    member = "input" if body.endpoint is Endpoint.RESPONSES else "messages"
    opening = {Endpoint.RESPONSES: "instructions", Endpoint.MESSAGES: "system"}.get(body.endpoint)
    turns = [turn for each in enumerate(turns_of(body)) if (turn := _turn(*each, member)) is not None]
    if opening and (said := _content(document.get(opening), opening)):
        turns.insert(0, {"role": "system", "content": said})
    if not turns:
        raise InvalidRequest(f"'{member}' holds no message.", param=member)
    return turns


def _check(document: dict[str, Any]) -> None:
    for name in _REFUSED:
        if document.get(name):
            raise _refusal(name)
    if (document.get("n") or 1) != 1:
        raise _refusal("n")
    for name, holder in (("response_format", document), ("text.format", document.get("text"))):
        form = holder.get(name.rpartition(".")[2]) if isinstance(holder, dict) else None
        if form is not None and not (isinstance(form, dict) and form.get("type") == "text"):
            raise _refusal(name)


def _turn(place: int, turn: Any, member: str) -> Turn | None:
    """One message; None where there is nothing in it but earlier thoughts."""
    where = f"{member}[{place}]"
    if not isinstance(turn, dict):
        raise InvalidRequest(f"'{where}' must be an object.", param=where)
    if turn.get("type") in _THOUGHTS:
        return None
    role = turn.get("role")
    if role not in _ROLES or turn.get("tool_calls"):
        raise InvalidRequest(
            f"'{where}': a strategy hears what system, user and assistant say, and no tools.", param=where
        )
    content = _content(turn.get("content"), f"{where}.content")
    return {"role": "system" if role == "developer" else role, "content": content} if content else None


def _content(content: Any, where: str) -> str | list[Turn]:
    """Text where there is nothing else, else parts as chat completions have them."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise InvalidRequest(f"'{where}' must be a string or an array.", param=where)
    parts = list(_parts(content, where))
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _parts(content: list[Any], where: str) -> Iterator[Turn]:
    for place, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in _TEXTS and isinstance(part.get("text"), str):
            yield {"type": "text", "text": part["text"]}
        elif kind == "image_url":
            yield part
        elif kind == "input_image" and isinstance(part.get("image_url"), str):
            yield {"type": "image_url", "image_url": {"url": part["image_url"]}}
        elif kind == "image" and (url := _url(part.get("source"))):
            yield {"type": "image_url", "image_url": {"url": url}}
        elif kind not in _THOUGHTS:
            raise InvalidRequest(
                f"'{where}[{place}]' is neither text nor a picture; strategies hear nothing else.",
                param=f"{where}[{place}]",
            )


def _url(source: Any) -> str:
    """Where a picture of Anthropic's messages is."""
    if not isinstance(source, dict):
        return ""
    if source.get("type") == "base64":
        return f"data:{source.get('media_type', 'image/png')};base64,{source.get('data', '')}"
    return str(source.get("url") or "")


def _refusal(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"'{name}' is nothing that a strategy can honour. Leave it out, or ask a model.", param=name
    )
