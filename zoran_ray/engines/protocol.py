"""What answers requests, whoever runs it: the shape a provider's adapter has. Knows no provider."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from zoran_ray.wire import Endpoint


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One request on its way to an engine.

    Attributes:
        endpoint: Chat, completions or embeddings; adapters refuse what their provider does not have.
        document: OpenAI's body as the client sent it, complete; `model` is still our public name.
        request_id: Sent along, so that both sides' logs can be joined.
        deadline: When the whole request must be over, in seconds of `time.monotonic`.
    """

    endpoint: Endpoint
    document: Mapping[str, Any]
    request_id: str
    deadline: float

    @property
    def streamed(self) -> bool:
        """Whether the client wants events."""
        return self.document.get("stream") is True


class EngineReply(Protocol):
    """An answer that has begun, in OpenAI's format whatever the provider speaks."""

    @property
    def streamed(self) -> bool:
        """Whether `chunks` is to be read rather than `whole`."""

    async def whole(self) -> bytes:
        """The answer's JSON, `model` being the upstream name. Raises: as `Engine.open`."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Complete server-sent events, `data: [DONE]` last; the one before it has the usage.

        Raises:
            UpstreamError: The stream broke off, or is not one.
            ProviderBusy: The provider was overloaded half-way.
            DeadlineExceeded: The request's deadline has passed.
        """

    async def close(self) -> None:
        """Give the connection back, or cut it if the answer was not read to its end."""


class Engine(Protocol):
    """One provider's adapter for one upstream model."""

    async def open(self, request: EngineRequest) -> EngineReply:
        """Send the request, once, and wait for the first byte of a good answer.

        Raises:
            InvalidRequest: The provider cannot do what a parameter asks; `param` names it.
            ProviderBusy: 429, 503 or 529; `retry_after_s` if the provider says when.
            ProviderRefused: 401, 403 or an unknown model: our side has to be mended.
            UpstreamError: 5xx, a lost connection, or not the format that was promised.
            DeadlineExceeded: No first byte before the deadline.
        """

    async def close(self) -> None:
        """Close every pooled connection."""
