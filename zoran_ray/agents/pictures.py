"""The pictures of a conversation, all inside it: those behind URLs are fetched, those within are checked.

An engine never fetches anything. What a URL leads to comes through the guarded fetcher, and only a picture
of a known kind and size goes on. Knows no model.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zoran_ray.errors import InvalidRequest, PermissionDenied
from zoran_ray.reasoning.completion import Message
from zoran_ray.tools.picture import MOST_BYTES, Picture, kind_of_picture

MOST_PICTURES = 16
"""Of one conversation."""
_AT_ONCE = 4
_DATA = re.compile(r"data:image/(?:png|jpe?g|gif|webp);base64,", re.IGNORECASE)

Fetch = Callable[[str], Awaitable[Picture]]
"""Fetches a picture under guard. Raises: ZoranError."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Brings the pictures of a conversation into it.

    Attributes:
        fetch: For those behind URLs; None where nothing may be fetched.
        most_bytes: Largest picture.
    """

    fetch: Fetch | None = None
    most_bytes: int = MOST_BYTES

    async def inside(self, messages: Sequence[Message]) -> list[Message]:
        """The conversation with every picture as a `data:` URL.

        Raises:
            InvalidRequest: One is no picture, too large, or there are too many; `param` says which.
            PermissionDenied: One would have to be fetched, and nothing may be.
            ZoranError: One could not be fetched.
        """
        if sum(map(_count, messages)) > MOST_PICTURES:
            raise InvalidRequest(f"At most {MOST_PICTURES} pictures at once.", param="messages")
        room = asyncio.Semaphore(_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                made = [
                    group.create_task(self._message(message, place, room))
                    for place, message in enumerate(messages)
                ]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in made]

    async def _message(self, message: Message, place: int, room: asyncio.Semaphore) -> Message:
        content = message.get("content")
        if not isinstance(content, list):
            return message
        parts = []
        for number, part in enumerate(content):
            where = f"messages[{place}].content[{number}]"
            parts.append(await self._part(part, where, room) if _is_picture(part) else part)
        return {**message, "content": parts}

    async def _part(self, part: dict[str, Any], where: str, room: asyncio.Semaphore) -> dict[str, Any]:
        given = part["image_url"]
        url = given.get("url") if isinstance(given, dict) else given
        if not isinstance(url, str):
            raise InvalidRequest("A picture has no URL.", param=where)
        if url[:5].lower() == "data:":
            inside = self._checked(url, where)
        else:
            async with room:
                inside = await self._fetched(url, where)
        detail = {"detail": given["detail"]} if isinstance(given, dict) and "detail" in given else {}
        return {"type": "image_url", "image_url": {"url": inside, **detail}}

    def _checked(self, url: str, where: str) -> str:
        head = _DATA.match(url)
        if head is None:
            raise InvalidRequest(
                "A picture inside a request is `data:image/png;base64,…`, or jpeg, gif or webp.",
                param=where,
            )
        coded = url[head.end() :]
        if len(coded) > self.most_bytes * 4 // 3 + 4:
            raise InvalidRequest(f"A picture may have {self.most_bytes} bytes, not more.", param=where)
        try:
            data = base64.b64decode(coded, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidRequest("The picture's base64 is damaged; encode it anew.", param=where) from None
        return _data_url(Picture(kind_of_picture(data, where), data))

    async def _fetched(self, url: str, where: str) -> str:
        if self.fetch is None:
            raise PermissionDenied(
                "Nothing may be fetched here: send the picture as a `data:` URL, or let the operator add"
                " `network` to `tools.permissions`.",
                param=where,
            )
        return _data_url(await self.fetch(url))


def _is_picture(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "image_url" and "image_url" in part


def _count(message: Message) -> int:
    content = message.get("content")
    return sum(map(_is_picture, content)) if isinstance(content, list) else 0


def _data_url(picture: Picture) -> str:
    return f"data:{picture.kind};base64,{base64.b64encode(picture.data).decode()}"
