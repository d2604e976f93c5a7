"""Anthropic's Messages API as an engine. Chat only: Anthropic has neither completions nor embeddings.

Source: https://platform.claude.com/docs/en/api/overview. The API's version stays 2023-06-01: 2026-10-21
does not take `temperature`, `top_p` and `top_k` at all, where this one leaves it to the model.
"""

import time
from collections.abc import Callable
from functools import partial

from zoran_ray.api_key import ApiKey
from zoran_ray.engines.protocol import EngineReply, EngineRequest
from zoran_ray.engines.providers.anthropic_answer import anthropic_completion
from zoran_ray.engines.providers.anthropic_request import DEFAULT_MAX_TOKENS, anthropic_body
from zoran_ray.engines.providers.anthropic_stream import AnthropicStream
from zoran_ray.engines.providers.connection import Connection, KeyHeader
from zoran_ray.engines.providers.translation import StreamedReply, WholeReply, send
from zoran_ray.errors import InvalidRequest
from zoran_ray.wire import Endpoint

BASE_URL = "https://api.anthropic.com/v1"
KEY_VARIABLE = "ANTHROPIC_API_KEY"
API_VERSION = "2023-06-01"


def anthropic_connection(key: ApiKey | None, base_url: str = BASE_URL) -> Connection:
    """The pool all of Anthropic's models share. Raises: ConfigError for a bad address."""
    return Connection(
        "Anthropic",
        base_url,
        key=key,
        key_header=KeyHeader("x-api-key"),
        headers={"anthropic-version": API_VERSION},
    )


class AnthropicEngine:
    """One of Anthropic's models.

    Args:
        connection: Made by `anthropic_connection`.
        model: Anthropic's name of the model.
        default_max_tokens: Most tokens of an answer where the client sets no limit.
        now: Unix time in seconds.
    """

    def __init__(
        self,
        connection: Connection,
        model: str,
        *,
        default_max_tokens: int = DEFAULT_MAX_TOKENS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._connection = connection
        self._model = model
        self._default_max_tokens = default_max_tokens
        self._now = now

    async def open(self, request: EngineRequest) -> EngineReply:
        """Send the request, once, and wait for the beginning of a good answer. Raises: as `Engine.open`."""
        if request.endpoint is not Endpoint.CHAT_COMPLETIONS:
            raise InvalidRequest(
                f"Anthropic does not serve {request.endpoint.path}. Choose another model.", param="model"
            )
        body = anthropic_body(request.document, self._model, self._default_max_tokens)
        reply = await send(self._connection, "/messages", body, request, streamed=request.streamed)
        created = int(self._now())
        if not request.streamed:
            return WholeReply(reply, partial(anthropic_completion, created=created))
        streamed = StreamedReply(reply, AnthropicStream(created, reply.refusals.reported))
        await streamed.begin()
        return streamed
