"""How tests ask an adapter: a request, an engine in front of a fake provider, an answer read to its end."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.engines.providers.fake_provider import FakeProvider
from tests.engines.providers.speeches import MistralSpeech, OllamaSpeech, Speech, VllmSpeech
from zoran_ray.api_key import ApiKey
from zoran_ray.engines.protocol import EngineReply, EngineRequest
from zoran_ray.engines.providers.compatible import Compatible
from zoran_ray.engines.providers.connection import Connection
from zoran_ray.engines.providers.dialects import COMPATIBLE, MISTRAL, OLLAMA, OPENAI, VLLM, Dialect
from zoran_ray.wire import Endpoint

KEY = "sk-proj-canary-5d0f1c9a7e42"
HELLO = [{"role": "user", "content": "Hello"}]
SPEECHES: dict[str, tuple[Dialect, Speech]] = {
    "openai": (OPENAI, Speech()),
    "mistral": (MISTRAL, MistralSpeech()),
    "ollama": (OLLAMA, OllamaSpeech()),
    "vllm": (VLLM, VllmSpeech()),
    "openai-compatible": (COMPATIBLE, Speech(model="some/model")),
}


def asked(
    endpoint: Endpoint = Endpoint.CHAT_COMPLETIONS, *, seconds: float = 20.0, **document: Any
) -> EngineRequest:
    """A request whose model has our own name, and whose deadline is that far away."""
    if endpoint is Endpoint.CHAT_COMPLETIONS:
        document = {"messages": HELLO, **document}
    return EngineRequest(
        endpoint, {"model": "ours/name", **document}, "req-7f3a", time.monotonic() + seconds
    )


@asynccontextmanager
async def served(
    name: str = "openai", *, key: str = KEY, model: str | None = None, **options: Any
) -> AsyncIterator[tuple[Compatible, FakeProvider]]:
    """An engine of this dialect, and the provider it asks."""
    dialect, speech = SPEECHES[name]
    async with FakeProvider(speech, KEY) as provider:
        connection = Connection(
            name,
            dialect.address(provider.url),
            key=ApiKey(key, "TEST_API_KEY"),
            request_id_header=dialect.request_id_header,
            **options,
        )
        try:
            yield Compatible(connection, dialect, model or speech.model), provider
        finally:
            await connection.close()


async def heard(reply: EngineReply) -> list[bytes]:
    """All events of a stream, or the one whole answer."""
    try:
        if not reply.streamed:
            return [await reply.whole()]
        return [chunk async for chunk in reply.chunks()]
    finally:
        await reply.close()


def parsed(chunks: list[bytes]) -> list[Any]:
    """The JSON of all events but `[DONE]`, which has to be the last."""
    assert chunks[-1] == b"data: [DONE]\n\n"
    assert all(chunk.startswith(b"data: ") and chunk.endswith(b"\n\n") for chunk in chunks)
    return [json.loads(chunk[6:]) for chunk in chunks[:-1]]


def text_of(documents: list[Any]) -> str:
    """What a stream of chat chunks says."""
    return "".join(choice["delta"].get("content") or "" for each in documents for choice in each["choices"])
