"""Google's Gemini API (generativelanguage, not Vertex AI) as an engine: chat and embeddings.

Source: https://ai.google.dev/api.
"""

import time
from collections.abc import Callable
from functools import partial
from urllib.parse import quote

from zoran_ray.api_key import ApiKey
from zoran_ray.engines.protocol import EngineReply, EngineRequest
from zoran_ray.engines.providers.connection import Connection, KeyHeader
from zoran_ray.engines.providers.gemini_answer import gemini_completion
from zoran_ray.engines.providers.gemini_embeddings import gemini_embeddings, gemini_embeddings_body
from zoran_ray.engines.providers.gemini_request import gemini_body
from zoran_ray.engines.providers.gemini_stream import GeminiStream
from zoran_ray.engines.providers.translation import StreamedReply, WholeReply, send
from zoran_ray.errors import InvalidRequest
from zoran_ray.wire import Endpoint

BASE_URL = "https://generativelanguage.googleapis.com/v1beta"
KEY_VARIABLE = "GEMINI_API_KEY"


def gemini_connection(key: ApiKey | None, base_url: str = BASE_URL) -> Connection:
    """The pool all of Gemini's models share. Raises: ConfigError for a bad address."""
    # In a header, because what stands in a URL ends up in logs.
    return Connection("Gemini", base_url, key=key, key_header=KeyHeader("x-goog-api-key"))


class GeminiEngine:
    """One of Gemini's models.

    Args:
        connection: Made by `gemini_connection`.
        model: Gemini's name of the model, with or without `models/`.
        now: Unix time in seconds.
    """

    def __init__(self, connection: Connection, model: str, *, now: Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._model = model.removeprefix("models/")
        self._now = now

    async def open(self, request: EngineRequest) -> EngineReply:
        """Send the request, once, and wait for the beginning of a good answer. Raises: as `Engine.open`."""
        match request.endpoint:
            case Endpoint.CHAT_COMPLETIONS if request.streamed:
                return await self._stream(request)
            case Endpoint.CHAT_COMPLETIONS:
                return await self._complete(request)
            case Endpoint.EMBEDDINGS:
                return await self._embed(request)
        raise InvalidRequest(
            f"Gemini does not serve {request.endpoint.path}. Choose another model.", param="model"
        )

    async def _complete(self, request: EngineRequest) -> WholeReply:
        body = gemini_body(request.document, self._model)
        reply = await send(self._connection, self._path("generateContent"), body, request, streamed=False)
        return WholeReply(reply, partial(gemini_completion, model=self._model, created=int(self._now())))

    async def _stream(self, request: EngineRequest) -> StreamedReply:
        body = gemini_body(request.document, self._model)
        path = self._path("streamGenerateContent?alt=sse")
        reply = await send(self._connection, path, body, request, streamed=True)
        stream = GeminiStream(self._model, int(self._now()), reply.refusals.reported)
        streamed = StreamedReply(reply, stream)
        await streamed.begin()
        return streamed

    async def _embed(self, request: EngineRequest) -> WholeReply:
        body = gemini_embeddings_body(request.document, self._model)
        reply = await send(
            self._connection, self._path("batchEmbedContents"), body, request, streamed=False
        )
        return WholeReply(reply, partial(gemini_embeddings, document=request.document, model=self._model))

    def _path(self, method: str) -> str:
        return f"/models/{quote(self._model, safe='')}:{method}"
