"""The adapter for every provider that speaks OpenAI's protocol: chat, completions and embeddings.

Knows the protocol's answers and chunks; what differs between providers is in `dialects`, how bytes come
and go in `connection`. An answer is checked for what a client relies on and otherwise passed on as it came.
"""

from collections.abc import AsyncGenerator
from typing import Any

import orjson

from zoran_ray.engines.protocol import EngineRequest
from zoran_ray.engines.providers.connection import Connection
from zoran_ray.engines.providers.dialects import Dialect
from zoran_ray.engines.providers.framing import Event
from zoran_ray.engines.providers.reply import Reply
from zoran_ray.engines.providers.tally import Tally
from zoran_ray.errors import InvalidRequest, ProviderRefused, UpstreamError, ZoranError
from zoran_ray.wire import Endpoint, Usage

_DONE = b"[DONE]"
_DONE_EVENT = b"data: [DONE]\n\n"
_CHOICE_HOLDS = {Endpoint.CHAT_COMPLETIONS: ("message", dict), Endpoint.COMPLETIONS: ("text", str)}


class Compatible:
    """An `Engine`: one model of one provider with this protocol.

    Args:
        connection: Shared with the provider's other models.
        dialect: How the provider's protocol differs.
        model: The provider's name of the model.
    """

    def __init__(self, connection: Connection, dialect: Dialect, model: str) -> None:
        self._connection = connection
        self._dialect = dialect
        self._model = model

    async def open(self, request: EngineRequest) -> "CompatibleReply":
        """Send the request, once; of a stream, wait for the first event. Raises: as `Engine.open`."""
        endpoint = request.endpoint
        body = self._dialect.body(endpoint, request.document, self._model)
        streamed = request.streamed and endpoint.streams
        reply = await self._connection.open(
            endpoint.path.removeprefix("/v1"),
            body,
            request_id=request.request_id,
            deadline=request.deadline,
            stall_s=request.stall_s,
            streamed=streamed,
        )
        answer = CompatibleReply(reply, self._dialect, endpoint, streamed=streamed)
        try:
            await answer.begin()
        except BaseException:
            await answer.close()
            raise
        return answer


class CompatibleReply:
    """An `EngineReply`. A provider that tells no usage gets none put into its answer."""

    def __init__(self, reply: Reply, dialect: Dialect, endpoint: Endpoint, *, streamed: bool) -> None:
        self._reply = reply
        self._dialect = dialect
        self._endpoint = endpoint
        self._streamed = streamed
        self._ahead: bytes | None = None
        self._tally = Tally()
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._done = False

    @property
    def streamed(self) -> bool:
        """Whether `chunks` is to be read rather than `whole`."""
        return self._streamed

    @property
    def usage(self) -> Usage:
        """Tokens so far, told or estimated."""
        return self._tally.usage

    async def begin(self) -> None:
        """Of a stream, read the first event: an error there is still told before anything is sent."""
        if self._streamed:
            self._ahead = await self._next()

    async def whole(self) -> bytes:
        """The answer's JSON.

        Raises:
            ProviderBusy, InvalidRequest, ProviderRefused: It is an error object that says so.
            UpstreamError: It broke off, or is not the answer that was asked for.
            DeadlineExceeded: The request's deadline has passed.
        """
        data = await self._reply.whole()
        self._done = True
        document = self._parsed(data)
        if error := self._reported(document):
            raise error
        self._check(document)
        restored = self._dialect.restore(document)
        self._tally.came(restored)
        return data if restored is document else orjson.dumps(restored)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Complete server-sent events, `data: [DONE]` last.

        Raises:
            ProviderBusy: The provider says so within the stream.
            UpstreamError: The stream broke off, reports an error, or is not one.
            DeadlineExceeded: The request's deadline has passed.
        """
        chunk, self._ahead = self._ahead, None
        while chunk is not None:
            yield chunk
            try:
                chunk = await self._next()
            except (InvalidRequest, ProviderRefused) as refusal:
                # Too late to change the request, or to send it elsewhere.
                raise UpstreamError(refusal.message) from None

    async def close(self) -> None:
        """Give the connection back, or cut it if the answer was not read to its end."""
        await self._reply.close(finished=self._done)

    async def _next(self) -> bytes | None:
        """The next event as it goes out; None after the last one."""
        if self._done:
            return None
        event = await self._reply.event()
        if event is None or event.data.strip() == _DONE:
            return self._last(told=event is not None)
        document = self._parsed(event.data)
        if error := self._reported(document, event):
            raise error
        self._follow(document)
        restored = self._dialect.restore(document)
        self._tally.came(restored)
        # Encoded anew where it has the usage: `wire.sse` knows that by its usual spelling.
        if restored is document and b"\n" not in event.data and not document.get("usage"):
            return b"data: " + event.data + b"\n\n"
        return b"data: " + orjson.dumps(restored) + b"\n\n"

    def _last(self, *, told: bool) -> bytes:
        """The end of the stream, in good order if the provider said so or has finished every choice."""
        if not told and not self._begun <= self._finished:
            raise UpstreamError(f"{self._name}'s answer broke off before its end. Try again.")
        if not self._begun:
            raise UpstreamError(f"{self._name}'s answer has no choices. Try again.")
        self._done = True
        return _DONE_EVENT

    def _parsed(self, data: bytes) -> dict[str, Any]:
        try:
            document = orjson.loads(data)
        except orjson.JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            raise UpstreamError(f"{self._name} sent something that is not JSON. Try again.")
        return document

    def _reported(self, document: dict[str, Any], event: Event | None = None) -> ZoranError | None:
        named = event is not None and event.name == "error"
        if named or document.get("error") or document.get("object") == "error":
            return self._reply.refusals.reported(document)
        return None

    def _follow(self, document: dict[str, Any]) -> None:
        """Take note of the choices that begin and end in one chunk."""
        for choice in _choices(document, self._name):
            index, reason = choice.get("index"), choice.get("finish_reason")
            index = index if type(index) is int else 0
            self._begun.add(index)
            if reason == "error":
                raise UpstreamError(f"{self._name} ended its answer with an error. Try again.")
            if reason:
                self._finished.add(index)

    def _check(self, document: dict[str, Any]) -> None:
        """What every client takes for granted in a whole answer."""
        if self._endpoint is Endpoint.EMBEDDINGS:
            good = isinstance(data := document.get("data"), list) and bool(data)
        else:
            member, kind = _CHOICE_HOLDS[self._endpoint]
            choices = _choices(document, self._name)
            good = bool(choices) and all(isinstance(each.get(member), kind) for each in choices)
            good = good and all(each.get("finish_reason") != "error" for each in choices)
        if not good:
            raise UpstreamError(f"{self._name}'s answer has nothing in it. Try again.")

    @property
    def _name(self) -> str:
        return self._reply.refusals.provider


def _choices(document: dict[str, Any], provider: str) -> list[dict[str, Any]]:
    choices = document.get("choices")
    if not isinstance(choices, list) or not all(isinstance(each, dict) for each in choices):
        raise UpstreamError(f"{provider} sent something that is no answer. Try again.")
    return choices
