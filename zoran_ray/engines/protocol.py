"""What answers requests, whoever runs it: the shape a provider's adapter has. Knows no provider."""

import math
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from zoran_ray.wire import Endpoint, Usage


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One request on its way to an engine.

    Attributes:
        endpoint: Chat, completions or embeddings; adapters refuse what their provider does not have.
        document: OpenAI's body as the client sent it, complete; `model` is still our public name.
        request_id: Sent along, so that both sides' logs can be joined.
        deadline: When the whole request must be over, in seconds of `time.monotonic`.
        stall_s: Longest silence in the middle of an answer, in seconds.
    """

    endpoint: Endpoint
    document: Mapping[str, Any]
    request_id: str
    deadline: float
    stall_s: float = math.inf

    @property
    def streamed(self) -> bool:
        """Whether the client wants events."""
        return self.document.get("stream") is True


class EngineReply(Protocol):
    """An answer that has begun, in OpenAI's format whatever the provider speaks."""

    @property
    def streamed(self) -> bool:
        """Whether `chunks` is to be read rather than `whole`."""

    @property
    def usage(self) -> Usage:
        """Tokens so far, at any time: as the provider counted them, else what came, estimated.

        `prompt_tokens` is 0 where the provider has not told them.
        """

    async def whole(self) -> bytes:
        """The answer's JSON, `model` being the upstream name. Raises: as `Engine.open`."""

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """Complete server-sent events, `data: [DONE]` last; the one before it has the usage.

        Raises:
            UpstreamError: The stream broke off, or is not one.
            ProviderBusy: The provider was overloaded half-way.
            DeadlineExceeded: The request's deadline has passed, or nothing came for `stall_s`.
        """

    async def close(self) -> None:
        """Give the connection back, or cut it if the answer was not read to its end."""


class Engine(Protocol):
    """One provider's adapter for one upstream model. Holds no connection of its own."""

    async def open(self, request: EngineRequest) -> EngineReply:
        """Send the request, once, and wait for the first byte of a good answer.

        Raises:
            InvalidRequest: The provider cannot do what a parameter asks; `param` names it.
            ProviderBusy: 429, 503 or 529; `retry_after_s` if the provider says when.
            ProviderRefused: 401, 403 or an unknown model: our side has to be mended.
            UpstreamError: 5xx, a lost connection, or not the format that was promised.
            DeadlineExceeded: No first byte before the deadline.
        """
