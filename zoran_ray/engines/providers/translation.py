"""A reply in a provider's own format, told in OpenAI's: what native adapters have in common.

Knows connections and OpenAI's framing; what the provider says is left to the functions it is given.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Protocol

import orjson

from zoran_ray.engines.protocol import EngineRequest
from zoran_ray.engines.providers.chat_answer import DONE, Chunk, Tokens, event
from zoran_ray.engines.providers.connection import Connection
from zoran_ray.engines.providers.reply import Reply
from zoran_ray.engines.providers.tally import Tally
from zoran_ray.errors import InvalidRequest, ProviderRefused, UpstreamError
from zoran_ray.wire import Usage


class Stream(Protocol):
    """A provider's events → OpenAI's chunks, one answer's."""

    @property
    def finished(self) -> bool:
        """The provider's own last event was seen: there is nothing more to read."""

    @property
    def counted(self) -> Tokens | None:
        """What the provider has counted so far, None if it has told nothing."""

    def feed(self, event: Any) -> list[Chunk]:
        """The chunks of one event. Raises: a provider's error if the event reports one or is nonsense."""

    def close(self) -> list[Chunk]:
        """The chunks that follow the end of the stream. Raises: UpstreamError if it ended too soon."""


async def send(
    connection: Connection, path: str, body: Mapping[str, Any], request: EngineRequest, *, streamed: bool
) -> Reply:
    """Open a request with this body. Raises: as `Connection.open`."""
    return await connection.open(
        path,
        body,
        request_id=request.request_id,
        deadline=request.deadline,
        stall_s=request.stall_s,
        streamed=streamed,
    )


class WholeReply:
    """An answer that comes in one piece.

    Args:
        translate: The provider's JSON → OpenAI's.
    """

    streamed = False

    def __init__(self, reply: Reply, translate: Callable[[Any], dict[str, Any]]) -> None:
        self._reply = reply
        self._translate = translate
        self._tally = Tally()

    @property
    def usage(self) -> Usage:
        """Tokens of the answer once it was read, told or estimated."""
        return self._tally.usage

    async def whole(self) -> bytes:
        """The answer as OpenAI writes it. Raises: as `Engine.open`."""
        document = _parsed(await self._reply.whole())
        if isinstance(document, dict) and document.get("error"):
            raise self._reply.refusals.reported(document)
        told = self._translate(document)
        self._tally.came(told)
        return orjson.dumps(told)

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """Nothing: `whole` is to be read."""
        raise RuntimeError("this reply is whole")

    async def close(self) -> None:
        """Give the connection back, or cut it if the answer was not read to its end."""
        await self._reply.close()


class StreamedReply:
    """An answer that comes in events."""

    streamed = True

    def __init__(self, reply: Reply, stream: Stream) -> None:
        self._reply = reply
        self._stream = stream
        self._first: list[Chunk] = []
        self._ended = False
        self._tally = Tally()
        self._counted: Tokens | None = None

    @property
    def usage(self) -> Usage:
        """Tokens so far, told or estimated."""
        return self._tally.usage

    async def begin(self) -> None:
        """Wait for the first chunk: an overloaded provider may say so in a stream that began well.

        Raises: as `Engine.open`; the reply is then closed.
        """
        try:
            while not self._first and not self._over:
                self._first = await self._next()
        except BaseException:
            await self.close()
            raise

    async def whole(self) -> bytes:
        """Nothing: `chunks` are to be read."""
        raise RuntimeError("this reply is streamed")

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The answer as OpenAI streams it, whole events, `data: [DONE]` last. Raises: as `EngineReply`."""
        chunks, self._first = self._first, []
        while True:
            if chunks:
                yield b"".join(map(event, chunks))
            if self._over:
                break
            try:
                chunks = await self._next()
            except (InvalidRequest, ProviderRefused) as refusal:
                # Too late to change the request, or to send it elsewhere.
                raise UpstreamError(refusal.message) from None
        yield DONE

    async def close(self) -> None:
        """Give the connection back, or cut it if the answer was not read to its end."""
        await self._reply.close(finished=self._over)

    @property
    def _over(self) -> bool:
        return self._ended or self._stream.finished

    async def _next(self) -> list[Chunk]:
        """The chunks of the next event, or of the end."""
        told = await self._reply.event()
        if told is None:
            chunks = self._stream.close()
            self._ended = True
        else:
            chunks = self._stream.feed(_parsed(told.data))
        self._count(chunks)
        return chunks

    def _count(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            self._tally.came(chunk)
        # What is counted in the middle of a stream is in no chunk.
        if (counted := self._stream.counted) != self._counted and counted is not None:
            self._counted = counted
            self._tally.counted(Usage(counted.prompt, counted.completion, counted.cached))


def _parsed(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        # Without its cause, which carries the whole answer.
        raise UpstreamError("The provider's answer is not valid JSON. Try again.") from None
