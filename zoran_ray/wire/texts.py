"""Where a body holds people's words, and the same body with other words there. Knows no reason for it.

A request is judged by what a string must not be: a name that has to match another (model, role, type, id,
function), or bytes of a picture. Whatever else is a string may hold a person's words, in members that are
not known here too. Keys stay. Of an answer every string may be changed but those of `logprobs`.

What is not looked into: prompts given as numbers of tokens, and bytes in base64.
"""

import re
from collections.abc import Mapping
from operator import is_
from typing import Any, Protocol

import orjson

_OWN = frozenset({"model", "zoran"})
"""Members of a request that are said to the gateway."""
_MATCHED = frozenset(
    {"model", "role", "type", "id", "object", "status", "format", "media_type", "required", "$ref", "$id"}
)
"""Members whose strings must stay what they are: they are compared with others."""
_SEALED = frozenset({"encrypted_content", "signature"})
_PERSONS = "user_id"
_MEDIA = frozenset({"url", "image_url", "video_url", "audio_url", "file_url", "file_data", "data"})
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\r\n]{64,}+={0,2}")
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_JSON = "arguments"
_JSON_FORMATS = ("json_object", "json_schema")


class Change(Protocol):
    """What is done with each text."""

    def text(self, text: str) -> str:
        """The text to put in its place."""
        ...

    def json(self, text: str) -> str:
        """The same where the text is JSON, and must stay so."""
        ...


def with_request_changed(document: dict[str, Any], change: Change) -> dict[str, Any]:
    """A request's body with its texts changed; the very same object where nothing was."""
    changed = {
        name: value if name in _OWN else _asked(value, name, document, change)
        for name, value in document.items()
    }
    told: dict[str, Any] = _same_or(document, changed)
    return told


def with_answer_changed(document: Any, change: Change, *, json_content: bool = False) -> Any:
    """An answer, or a part of one, with its texts changed; the very same object where nothing was.

    Args:
        json_content: The answer's own text is JSON too.
    """
    in_json = {_JSON, "content", "text"} if json_content else {_JSON}
    return _answered(document, "", change, frozenset(in_json))


def wants_json(document: Mapping[str, Any]) -> bool:
    """Whether a request asks for an answer whose text is JSON."""
    text = document.get("text")
    formats = document.get("response_format"), text.get("format") if isinstance(text, dict) else None
    return any(isinstance(each, dict) and each.get("type") in _JSON_FORMATS for each in formats)


def _asked(value: Any, name: str, holder: Mapping[str, Any], change: Change) -> Any:
    if isinstance(value, str):
        if _must_stay(value, name, holder):
            return value
        return change.json(value) if name == _JSON else change.text(value)
    if isinstance(value, list):
        return _same_or(value, [_asked(each, name, holder, change) for each in value])
    if not isinstance(value, dict):
        return value
    if name in ("input", _JSON) and "name" in holder:
        return _free(value, change)
    return _same_or(value, {key: _asked(each, key, value, change) for key, each in value.items()})


def _must_stay(value: str, name: str, holder: Mapping[str, Any]) -> bool:
    if name in _MATCHED or name in _SEALED:
        return True
    if name == "name":
        return "role" not in holder  # beside a role it is a person's
    if name in _MEDIA:
        is_text = name == "data" and holder.get("type") == "text"
        return not is_text and (_DATA_URL.match(value) or _BASE64.fullmatch(value)) is not None
    return name.endswith("_id") and name != _PERSONS


def _free(value: dict[str, Any], change: Change) -> Any:
    """An object whose keys are a tool's: changed as the text that other dialects make of it."""
    text = orjson.dumps(value).decode()
    changed = change.json(text)
    return value if changed == text else orjson.loads(changed)


def _answered(value: Any, name: str, change: Change, in_json: frozenset[str]) -> Any:
    if isinstance(value, str):
        return change.json(value) if name in in_json else change.text(value)
    if isinstance(value, list):
        return _same_or(value, [_answered(each, name, change, in_json) for each in value])
    if isinstance(value, dict):
        told = {
            key: each if key == "logprobs" else _answered(each, key, change, in_json)
            for key, each in value.items()
        }
        return _same_or(value, told)
    return value


def _same_or(old: Any, new: Any) -> Any:
    """`old` unless a member is another object now."""
    before, after = (old.values(), new.values()) if isinstance(old, dict) else (old, new)
    return old if all(map(is_, before, after)) else new
