"""Puts values back into one answer on its way out: a whole one, or a stream as it comes.

Knows bodies and events through `zoran_ray.wire`, placeholders through `zoran_ray.privacy`; neither vault
nor profile.
"""

import asyncio
from typing import Any

import orjson

from serve_apps.gateway.account import Account
from serve_apps.gateway.outgoing import Header
from zoran_ray.privacy import Lookup, StreamUnmasker, as_is, in_json, unmask
from zoran_ray.wire import Endpoint, RequestBody
from zoran_ray.wire.event_texts import StreamTexts
from zoran_ray.wire.texts import wants_json, with_answer_changed

LARGE_BYTES = 256 * 1024
"""Answers from this size on are changed in a thread."""
_WITHOUT_TEXT = (Endpoint.EMBEDDINGS, Endpoint.COUNT_TOKENS)


class _PutBack:
    """What is done with texts that come whole."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def text(self, text: str) -> str:
        return unmask(text, self._lookup)

    def json(self, text: str) -> str:
        return unmask(text, self._lookup, in_json)


class Unmasking:
    """One answer to one masked request.

    Args:
        body: The request.
        lookup: What a placeholder stands for.
        masked: How many values were taken out of the request; told in a header.
        in_thread: `lookup` waits for the disk.
        account: Gets a whole answer as the client does.
    """

    def __init__(
        self, body: RequestBody, lookup: Lookup, masked: int, in_thread: bool, account: Account
    ) -> None:
        self._passes = body.endpoint in _WITHOUT_TEXT
        self._json_content = wants_json(body.document)
        self._change = _PutBack(lookup)
        self._in_thread = in_thread
        self._account = account
        self._stream: StreamTexts | None = None
        if body.stream:
            self._stream = StreamTexts(
                body.endpoint,
                self._change,
                lambda is_json: StreamUnmasker(lookup, in_json if is_json else as_is),
                json_content=self._json_content,
            )
        self.headers: list[Header] = [(b"x-zoran-privacy", b"masked=%d" % masked)] if masked else []

    async def whole(self, content_type: bytes, data: bytes) -> bytes:
        """A whole answer; the very same bytes where there is nothing to put back."""
        if self._passes or not content_type.startswith(b"application/json"):
            return data
        if self._in_thread or len(data) >= LARGE_BYTES:
            document, told = await asyncio.to_thread(self._changed, data)
        else:
            document, told = self._changed(data)
        if self._account.answer is not None:
            self._account.answer = document
        return told

    async def chunk(self, data: bytes) -> bytes:
        """The next bytes of a stream; none where they still wait for their end."""
        if self._stream is None:
            return data
        if self._in_thread:
            return await asyncio.to_thread(self._stream.feed, data)
        return self._stream.feed(data)

    async def rest(self) -> bytes:
        """What the stream still holds back at its end."""
        return b"" if self._stream is None else self._stream.finish()

    @property
    def added(self) -> int:
        """Events put into the stream."""
        return 0 if self._stream is None else self._stream.added

    def _changed(self, data: bytes) -> tuple[Any, bytes]:
        document = orjson.loads(data)
        told = with_answer_changed(document, self._change, json_content=self._json_content)
        return told, data if told is document else orjson.dumps(told)
