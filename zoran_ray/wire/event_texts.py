"""An event stream whose texts are changed piece by piece. Knows framing; `event_pieces`, where texts are.

An event in which nothing changes comes back byte for byte. A text of which a part is held back comes out
later, at the latest in an event of its own before the one that ends it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from zoran_ray.errors import UpstreamError
from zoran_ray.wire.endpoint import Endpoint
from zoran_ray.wire.event_pieces import ChoicePieces, MessagePieces, Pieces, ResponsePieces, Streamed
from zoran_ray.wire.sse import MAX_EVENT_BYTES
from zoran_ray.wire.texts import Change

_END = b"\n\n"


class StreamTexts:
    """One stream. Feed it bytes, cut anywhere; send on what it gives back.

    Args:
        endpoint: One that streams.
        change: What is done with a text that comes whole.
        streamed: Makes what is done with one that comes in pieces; told whether it is JSON.
        json_content: The answer's own text is JSON too.

    Attributes:
        added: Events put in.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        change: Change,
        streamed: Callable[[bool], Streamed],
        *,
        json_content: bool = False,
    ) -> None:
        self._pieces = _pieces(endpoint, change, streamed, json_content)
        self._named = endpoint in (Endpoint.RESPONSES, Endpoint.MESSAGES)
        self._tail = b""
        self.added = 0

    def feed(self, chunk: bytes) -> bytes:
        """The next bytes; only whole events come out.

        Raises:
            UpstreamError: An event does not end, or there are more texts at once than any answer has.
        """
        whole, end, self._tail = (self._tail + chunk).rpartition(_END)
        if len(self._tail) > MAX_EVENT_BYTES:
            raise UpstreamError("The engine sent an event that does not end. Try again.")
        return b"".join(self._changed(event) for event in whole.split(_END)) if end else b""

    def finish(self) -> bytes:
        """What was still held back where the stream did not end by itself, and half an event."""
        held, tail = b"".join(self._put_in(self._pieces.finish())), self._tail
        self._tail = b""
        return held + tail

    def _changed(self, event: bytes) -> bytes:
        lines = event.split(b"\n")
        data = b"\n".join(line[5:] for line in lines if line.startswith(b"data:")).strip()
        if not data:
            return event + _END
        if data == b"[DONE]":
            return b"".join(self._put_in(self._pieces.finish())) + event + _END
        try:
            document = orjson.loads(data)
        except orjson.JSONDecodeError:
            return event + _END
        if not isinstance(document, dict):
            return event + _END
        before, told = self._pieces.take(document)
        added = b"".join(self._put_in(before))
        if told is None:
            return added + event + _END
        kept = [line for line in lines if not line.startswith(b"data:")]
        return added + b"\n".join((*kept, b"data: " + orjson.dumps(told))) + _END

    def _put_in(self, documents: list[dict[str, Any]]) -> Iterator[bytes]:
        for document in documents:
            self.added += 1
            name = b"event: " + str(document["type"]).encode() + b"\n" if self._named else b""
            yield name + b"data: " + orjson.dumps(document) + _END


def _pieces(
    endpoint: Endpoint, change: Change, streamed: Callable[[bool], Streamed], json_content: bool
) -> Pieces:
    match endpoint:
        case Endpoint.RESPONSES:
            return ResponsePieces(change, streamed, json_content)
        case Endpoint.MESSAGES:
            return MessagePieces(change, streamed, json_content)
        case _:
            return ChoicePieces(change, streamed, json_content)
