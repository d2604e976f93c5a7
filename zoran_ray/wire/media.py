"""Images, sound and video inside a request: how much there is, and that the engine fetches none of it.

vLLM fetches what a message part refers to, from inside the private network and following redirects
(CVE-2026-24779), so a reference must be a `data:` URL unless its host is on the operator's list.

Source for where references may stand: vllm/renderers/chat_utils.py (parts are read with and without
`type`) and anthropic/serving.py, version 0.32; what is looked at here is a superset.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from zoran_ray.errors import InvalidRequest

_REFERENCES = ("image_url", "video_url", "audio_url", "file_url")
_CARRIERS = ("source", "input_audio", "image_embeds", "audio_embeds", "video_embeds")
_NESTED = ("content", "output")
_MEMBERS = frozenset(_REFERENCES + _CARRIERS + _NESTED)
# No user info, no backslash, no escape: nothing two URL parsers could read differently.
_HTTP = re.compile(r"https?://([A-Za-z0-9.-]+)(?::\d{1,5})?(?:[/?#][^\s\\]*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Media:
    """What a request carries besides text. `inline_bytes` is its size within the body, in bytes."""

    count: int = 0
    inline_bytes: int = 0


NONE = Media()


def inspect_media(content: Any, path: str, hosts: Collection[str] | None = ()) -> Media:
    """Look through messages or input items, however deep, without recursion.

    Args:
        content: The value of the request's `messages` or `input`.
        path: Its name, for the error.
        hosts: Host names that `http` and `https` references may point to, in lower case; None for any,
            where nothing is given to an engine as it is.

    Raises:
        InvalidRequest: A part refers to something that may not be fetched.
    """
    count = inline = 0
    pending = [(path, content)]
    while pending:
        where, value = pending.pop()
        if type(value) is list:
            pending += [(f"{where}[{i}]", each) for i, each in enumerate(value) if _may_hold_media(each)]
            continue
        if type(value) is not dict:
            continue
        for name in value.keys() & _MEMBERS:
            if name in _NESTED:
                pending.append((f"{where}.{name}", value[name]))
                continue
            count += 1
            inline += _checked(value[name], name, f"{where}.{name}", hosts)
    return Media(count, inline) if count else NONE


def _may_hold_media(part: Any) -> bool:
    """False for the plain `{"role": …, "content": "text"}` that most messages are."""
    if type(part) is not dict:
        return type(part) is list
    found = part.keys() & _MEMBERS
    return bool(found) and not (len(found) == 1 and type(part.get("content")) is str)


def _checked(value: Any, name: str, where: str, hosts: Collection[str] | None) -> int:
    """Bytes of media in `value`, whose references are fit to be fetched."""
    inline = 0
    for member, each in value.items() if type(value) is dict else ((name, value),):
        if type(each) is not str:
            continue
        if member == "url" or member in _REFERENCES:
            _check_reference(each, where, hosts)
        inline += len(each)
    return inline


def _check_reference(url: str, where: str, hosts: Collection[str] | None) -> None:
    if url[:5].lower() == "data:":
        return
    address = _HTTP.fullmatch(url)
    if address is not None and (hosts is None or address[1].lower() in hosts):
        return
    raise InvalidRequest(
        "Media must be sent inside the request as a `data:` URL; this server fetches no other.", param=where
    )
