"""Watches a server-sent event stream pass by: counts, usage, the end; may drop one event.

Framing only: an event is some lines and a blank one, ended by LF as vLLM, OpenAI and Anthropic write
them. Nothing is decoded on the way. Every test below is for bytes that JSON cannot hold inside a
string: there a quote is escaped and a line break is impossible, so generated text never matches.
"""

import re

import orjson

from zoran_ray.errors import UpstreamError
from zoran_ray.wire.endpoint import Endpoint
from zoran_ray.wire.usage import Usage, usage_of

MAX_EVENT_BYTES = 32 * 1024 * 1024
"""An engine that writes this much without ending an event is broken. `response.completed` holds a
whole answer, logprobs included, and stays below."""

_EVENT = re.compile(rb"(?:[^\n]+\n)+\n")
_USAGE = (b'"usage":{', b'"usage": {')
_NO_CHOICES = (b'"choices":[]', b'"choices": []')

# How a line begins that ends a stream, that reports a failure, or both.
_END, _FAILURE = 1, 2
_CHAT_MARKS = {b"\ndata: [DONE]": _END, b'\ndata: {"error":': _FAILURE}
_MARKS: dict[Endpoint, dict[bytes, int]] = {
    Endpoint.CHAT_COMPLETIONS: _CHAT_MARKS,
    Endpoint.COMPLETIONS: _CHAT_MARKS,
    Endpoint.RESPONSES: {
        b"\nevent: response.completed": _END,
        b"\nevent: response.incomplete": _END,
        b"\nevent: response.failed": _END | _FAILURE,
        b"\nevent: error": _FAILURE,
    },
    Endpoint.MESSAGES: {b"\nevent: message_stop": _END, b"\nevent: error": _FAILURE},
}


class UsageFilter:
    """One stream's observer. Feed it network chunks; send on what it gives back.

    Only whole events come out: a client can make nothing of half a one, and when the engine dies in the
    middle, `wire.errors.event` can follow what was sent. In a stream whose chunks are whole events, as
    vLLM's are, every chunk comes back as the very same object.

    Args:
        endpoint: One that streams.
        drop_usage: Remove the usage-only event of a chat or completions stream, because we asked the
            engine for it and the client did not.

    Attributes:
        events: `data:` lines seen in whole events; comments (keep-alives) do not count.
    """

    __slots__ = ("_drop", "_marks", "_seen", "_tail", "_usage_event", "events")

    def __init__(self, endpoint: Endpoint, *, drop_usage: bool = False) -> None:
        self._marks = _MARKS[endpoint]
        self._seen = 0
        self._drop = drop_usage
        self._tail = bytearray()
        self._usage_event: bytes | None = None
        self.events = 0

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes off the network and return those to send on, possibly none.

        Raises:
            UpstreamError: One event is larger than `MAX_EVENT_BYTES`.
        """
        if self._tail or not chunk.endswith(b"\n\n"):
            chunk = self._whole_events(chunk)
            if not chunk:
                return b""
        lines = b"\n" + chunk  # so that a line's beginning looks the same everywhere
        self.events += lines.count(b"\ndata:")
        for mark in self._marks:
            if mark in lines:
                self._seen |= self._marks[mark]
        return self._usage_passes(chunk) if b'"usage"' in chunk else chunk

    def flush(self) -> bytes:
        """What is left when the engine closed the stream in good order: normally nothing.

        After a broken connection do not send it; end the stream with `wire.errors.event` instead.
        """
        tail = bytes(self._tail)
        self._tail.clear()
        return tail

    @property
    def finished(self) -> bool:
        """The stream's own last event was seen; without it, the stream was cut."""
        return bool(self._seen & _END)

    @property
    def failed(self) -> bool:
        """The engine reported an error within the stream."""
        return bool(self._seen & _FAILURE)

    @property
    def usage(self) -> Usage | None:
        """Token counts of the last event that stated any."""
        if self._usage_event is None:
            return None
        for line in self._usage_event.split(b"\n"):
            if line.startswith(b"data:"):
                try:
                    return usage_of(orjson.loads(line[5:]))
                except orjson.JSONDecodeError:
                    return None
        return None

    def _whole_events(self, chunk: bytes) -> bytes:
        tail = self._tail
        searched = max(0, len(tail) - 1)  # the first of two line ends may already be here
        tail += chunk
        end = tail.rfind(b"\n\n", searched)
        if end < 0:
            if len(tail) > MAX_EVENT_BYTES:
                raise UpstreamError("The engine sent an event that does not end. Try again.")
            return b""
        whole = bytes(tail[: end + 2])
        del tail[: end + 2]
        return whole

    def _usage_passes(self, chunk: bytes) -> bytes:
        for event in _EVENT.findall(chunk):
            if _has(event, _USAGE):
                self._usage_event = event
        return _EVENT.sub(_without_usage, chunk) if self._drop else chunk


def _has(event: bytes, either: tuple[bytes, bytes]) -> bool:
    return either[0] in event or either[1] in event


def _without_usage(match: re.Match[bytes]) -> bytes:
    event = match[0]
    return b"" if _has(event, _USAGE) and _has(event, _NO_CHOICES) else event
