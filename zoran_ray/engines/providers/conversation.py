"""Reads the messages of an OpenAI chat body into typed values. Knows no provider.

Checked here is what a translation relies on: who speaks, that every tool's answer belongs to a call, that
arguments are JSON. Reasoning that a client sends back as text is left out, as OpenAI's own format has no
place for it; what providers signed of it travels in `extra_content`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from zoran_ray.engines.providers.parameters import wrong
from zoran_ray.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Text:
    """Some text, never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture: either `data`, in base64 and of `media_type`, or the `url` where it is.

    Attributes:
        where: The part's path in the body, for errors.
    """

    where: str
    media_type: str = ""
    data: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What a user says; never empty."""

    parts: tuple[Text | Image, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool in an earlier answer. `extra` is the `extra_content` that came with it."""

    call_id: str
    name: str
    arguments: dict[str, Any]
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """An earlier answer, possibly empty. `extra` is the `extra_content` that came with it."""

    texts: tuple[str, ...]
    calls: tuple[Call, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolMessage:
    """What the tool `name` answered to the call `call_id`."""

    call_id: str
    name: str
    text: str


Message = UserMessage | AssistantMessage | ToolMessage


@dataclass(frozen=True, slots=True)
class Conversation:
    """All messages in order, those of the system apart.

    Attributes:
        system: Texts of the system's and the developer's messages, wherever they stood.
        messages: Ends with a user's or a tool's.
    """

    system: tuple[str, ...]
    messages: tuple[Message, ...]


def read_conversation(messages: Any) -> Conversation:
    """Read the `messages` of a body.

    Raises:
        InvalidRequest: `param` names the message or the part at fault.
    """
    if type(messages) is not list:
        raise wrong("messages", "an array")
    system: list[str] = []
    read: list[Message] = []
    names: dict[str, str] = {}
    for i, message in enumerate(messages):
        where = f"messages[{i}]"
        if type(message) is not dict:
            raise wrong(where, "an object")
        role = message.get("role")
        if role in ("system", "developer", "user") and message.get("name") is not None:
            raise InvalidRequest(
                f"'{where}.name' cannot be told to this model; leave it out.", param=f"{where}.name"
            )
        if role in ("system", "developer"):
            system += _texts(message.get("content"), f"{where}.content")
        elif role == "user":
            read.append(_user(message, where))
        elif role == "assistant":
            answer = _assistant(message, where)
            names.update({call.call_id: call.name for call in answer.calls})
            read.append(answer)
        elif role == "tool":
            read.append(_tool(message, where, names))
        else:
            raise wrong(f"{where}.role", "system, developer, user, assistant or tool")
    if not read or isinstance(read[-1], AssistantMessage):
        raise InvalidRequest("'messages' must end with a message of a user or a tool.", param="messages")
    return Conversation(tuple(system), tuple(read))


def _user(message: Mapping[str, Any], where: str) -> UserMessage:
    parts = _parts(message.get("content"), f"{where}.content")
    if not parts:
        raise InvalidRequest(f"'{where}.content' is empty.", param=f"{where}.content")
    return UserMessage(tuple(parts))


def _assistant(message: Mapping[str, Any], where: str) -> AssistantMessage:
    for name in ("audio", "function_call", "name"):
        if message.get(name) is not None:
            raise InvalidRequest(f"'{where}.{name}' cannot be told to this model.", param=f"{where}.{name}")
    texts = _texts(message.get("content"), f"{where}.content")
    if type(refusal := message.get("refusal")) is str and refusal:
        texts.append(refusal)
    given = message.get("tool_calls") or []
    if type(given) is not list:
        raise wrong(f"{where}.tool_calls", "an array")
    calls = tuple(_call(each, f"{where}.tool_calls[{i}]") for i, each in enumerate(given))
    return AssistantMessage(tuple(texts), calls, _extra(message))


def _call(given: Any, where: str) -> Call:
    function = given.get("function") if type(given) is dict else None
    if type(function) is not dict:
        raise wrong(where, "a call of a function")
    call_id, name, arguments = given.get("id"), function.get("name"), function.get("arguments")
    if type(call_id) is not str or not call_id:
        raise wrong(f"{where}.id", "a string")
    if type(name) is not str or not name:
        raise wrong(f"{where}.function.name", "a string")
    return Call(call_id, name, _arguments(arguments, f"{where}.function.arguments"), _extra(given))


def _arguments(given: Any, where: str) -> dict[str, Any]:
    try:
        # Models that have nothing to pass write nothing at all.
        arguments = orjson.loads(given or "{}")
    except (orjson.JSONDecodeError, TypeError):
        arguments = None
    if type(arguments) is not dict:
        # Without its cause, which carries the arguments.
        raise wrong(where, "a string that holds a JSON object") from None
    return arguments


def _tool(message: Mapping[str, Any], where: str, names: Mapping[str, str]) -> ToolMessage:
    call_id = message.get("tool_call_id")
    if type(call_id) is not str or call_id not in names:
        raise wrong(f"{where}.tool_call_id", "the id of a call in an earlier message")
    return ToolMessage(call_id, names[call_id], "".join(_texts(message.get("content"), f"{where}.content")))


def _texts(content: Any, where: str) -> list[str]:
    parts = _parts(content, where)
    for part in parts:
        if isinstance(part, Image):
            raise InvalidRequest(f"Only text is accepted in '{where}'.", param=part.where)
    return [part.text for part in parts if isinstance(part, Text)]


def _parts(content: Any, where: str) -> list[Text | Image]:
    """The parts of a message that hold anything."""
    if content is None or type(content) is str:
        return [Text(content)] if content else []
    if type(content) is not list:
        raise wrong(where, "a string or an array of parts")
    parts = (_part(each, f"{where}[{i}]") for i, each in enumerate(content))
    return [part for part in parts if not isinstance(part, Text) or part.text]


def _part(given: Any, where: str) -> Text | Image:
    kind = given.get("type") if type(given) is dict else None
    if kind in ("text", "refusal"):
        text = given.get(kind)
        if type(text) is not str:
            raise wrong(f"{where}.{kind}", "a string")
        return Text(text)
    if kind == "image_url":
        return _image(given.get("image_url"), f"{where}.image_url")
    raise InvalidRequest(
        f"'{where}': only parts of type text and image_url are accepted here.", param=where
    )


def _image(given: Any, where: str) -> Image:
    url = given.get("url") if type(given) is dict else given
    if type(url) is not str:
        raise wrong(where, "an object with a 'url'")
    if type(given) is dict and given.get("detail") not in (None, "auto", "high"):
        raise InvalidRequest(
            f"'{where}.detail': this model sees pictures in full detail only.", param=f"{where}.detail"
        )
    if url[:8].lower().startswith(("http://", "https://")):
        return Image(where, url=url)
    head, _, data = url.partition(",")
    if head[:5].lower() != "data:" or head[-7:].lower() != ";base64" or not data:
        raise InvalidRequest(
            f"'{where}.url' must be http(s) or a data: URL in base64.", param=f"{where}.url"
        )
    media_type = head[5:-7].split(";")[0].lower()
    return Image(where, "image/jpeg" if media_type == "image/jpg" else media_type, data)


def _extra(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    extra = holder.get("extra_content")
    return extra if type(extra) is dict else {}
