"""One streamed answer of a model: heard piece by piece, then as whole as if it had not been streamed.

Knows the events of chat completions, cut anywhere, and replies; not who is asked, nor what it costs.
"""

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

import orjson

from serve_apps.gateway.arm import Asked
from serve_apps.gateway.thinking_calls import CallsInPieces
from serve_apps.gateway.upstream import ReplicaLost, Reply
from zoran_ray.engines.protocol import EngineRequest
from zoran_ray.errors import UpstreamError
from zoran_ray.messages import ReplicaInfo
from zoran_ray.reasoning.completion import Hear
from zoran_ray.wire import Usage, normalise_upstream, usage_of
from zoran_ray.wire.sse import MAX_EVENT_BYTES

_END = b"\n\n"
_MOST_BYTES = 64 * 1024 * 1024
"""Longest stream of one answer."""


class Spoken:
    """The answer of one call, of which each try begins anew.

    Args:
        hear: Told its text. Of a second try it is told nothing if it heard something of the first.

    Attributes:
        usage: As counted so far; None where nobody has said.
        ended: Whether the stream came to its own end.
    """

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._heard = False
        self._muted = False
        self.begin()

    def begin(self) -> None:
        """Another try: what came of the last one is no part of the answer."""
        self._muted = self._heard
        self._tail = b""
        self._size = 0
        self._texts: list[str] = []
        self._calls = CallsInPieces()
        self._finish: str | None = None
        self.usage: Usage | None = None
        self.ended = False

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the stream.

        Raises:
            RequestError, UpstreamError: The engine says that it failed, or an event is none, or they do
                not end.
        """
        self._size += len(chunk)
        *events, self._tail = (self._tail + chunk).split(_END)
        if len(self._tail) > MAX_EVENT_BYTES or self._size > _MOST_BYTES:
            raise UpstreamError("The engine sent an event that does not end. Try again.")
        for event in events:
            lines = event.split(b"\n")
            data = b"\n".join(line[5:] for line in lines if line.startswith(b"data:")).strip()
            if data == b"[DONE]":
                self.ended = True
            elif data:
                self._take(data)

    def document(self) -> dict[str, Any]:
        """The answer as a chat completion that was not streamed."""
        message = {"role": "assistant", "content": "".join(self._texts), **self._calls.members()}
        choice = {"index": 0, "message": message, "finish_reason": self._finish}
        usage = {} if self.usage is None else {"usage": self.usage.told()}
        return {"choices": [choice], **usage}

    def _take(self, data: bytes) -> None:
        try:
            document = orjson.loads(data)
            if "error" in document:
                raise normalise_upstream(500, data)
            self.usage = usage_of(document) or self.usage
            for choice in document.get("choices") or ():
                self._choice(choice)
        except (orjson.JSONDecodeError, AttributeError, TypeError):
            # Without its cause, which carries what was said.
            raise UpstreamError("The engine sent an event that is none. Try again.") from None

    def _choice(self, choice: Mapping[str, Any]) -> None:
        if choice.get("index", 0) != 0:
            return  # it was asked for one
        self._finish = choice.get("finish_reason") or self._finish
        delta = choice.get("delta") or {}
        self._calls.feed(delta)
        text = delta.get("content")
        if isinstance(text, str) and text:
            self._texts.append(text)
            if not self._muted:
                self._heard = True
                self._hear(text)


async def of_replica(reply: Reply, spoken: Spoken, replica: ReplicaInfo) -> bytes:
    """A replica's streamed answer as a whole one.

    Raises:
        ReplicaLost: It broke off; another may be asked.
        ZoranError: As `Spoken.feed`.
    """
    spoken.begin()
    try:
        async for chunk in reply.chunks():
            spoken.feed(chunk)
    except UpstreamError as failure:
        if failure.__cause__ is not None:  # the connection's
            raise ReplicaLost(replica.replica_id) from failure
        raise
    if not spoken.ended:
        raise ReplicaLost(replica.replica_id)
    return orjson.dumps(spoken.document())


async def of_provider(engine: Asked, request: EngineRequest, spoken: Spoken | None) -> bytes:
    """A provider's answer as a whole one, heard where it is streamed. Raises: As `Engine.open`."""
    reply = await engine.open(request)
    try:
        if spoken is None or not reply.streamed:
            return await reply.whole()
        spoken.begin()
        try:
            async with aclosing(reply.chunks()) as chunks:
                async for chunk in chunks:
                    spoken.feed(chunk)
        finally:
            spoken.usage = reply.usage
        return orjson.dumps(spoken.document())
    finally:
        await reply.close()
