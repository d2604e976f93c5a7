"""Vectors for the memory: hashed here, or made by a model that is served here or at a provider's.

Checks what comes back and bounds what waits; how a model is reached is in `embedding_models`. A change of
the model behind a name is not seen: only its name and the number of numbers tell one embedder from another.
"""

import asyncio
import math
import time
from base64 import b64decode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import orjson

from zoran_ray.errors import (
    ConfigError,
    DeadlineExceeded,
    EmbedderMismatch,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    RouteNotFound,
    UpstreamError,
)
from zoran_ray.memory.embedder import HASHED, EmbedderId, HashedNgrams, chosen
from zoran_ray.memory.record import Vector
from zoran_ray.memory.units import unit
from zoran_ray.messages import KeyInfo
from zoran_ray.settings import MemorySettings

Embed = Callable[[Sequence[str]], Awaitable[list[bytes]]]
"""Texts to float32 little-endian unit vectors, one each, in their order."""

AT_ONCE = 64
"""Texts in one request to a model."""
MOST_TEXTS = 1000
"""Texts in one call; as many as one write has records."""
DEADLINE_S = 30.0
"""Longest a call may take, waiting included, in seconds."""

_REQUESTS = 8
_CALLS = 256
_QUICK_CHARS = 2000
"""Texts hashed on the event loop, together; they take 4 ms."""

OPERATOR = KeyInfo("memory", "memory", digest="")
"""Who pays for texts that no key asked for, within the deployment's budget."""
_OPERATORS_TENANT = "-"
"""What records of the operator's own have as their tenant."""


class Model(Protocol):
    """A model that makes vectors."""

    async def __call__(self, texts: Sequence[str], key: KeyInfo, deadline: float) -> bytes:
        """OpenAI's embeddings answer, as it came.

        Args:
            texts: None of them empty.
            key: Who pays.
            deadline: When it must be over, in seconds of `time.monotonic`.

        Raises:
            ZoranError: Nothing came.
        """
        ...


class TextEmbedder:
    """The embedder that the settings name. Callable as `Embed`.

    Args:
        settings: `embedder` and `dimension`.
        model: Asked unless the embedder is `hashed`.
        deadline_s: Longest a call may take, in seconds.

    Attributes:
        id: Which embedder it is.

    Raises:
        InvalidRequest: Its name or dimension is none.
    """

    def __init__(self, settings: MemorySettings, model: Model, deadline_s: float = DEADLINE_S) -> None:
        self.id = chosen(settings)
        self._hashed = HashedNgrams(self.id.dimension) if settings.embedder == HASHED else None
        self._model = model
        self._deadline_s = deadline_s
        self._room = asyncio.Semaphore(_REQUESTS)
        self._calls = 0

    async def __call__(self, texts: Sequence[str], key: KeyInfo = OPERATOR) -> list[bytes]:
        """One vector for each text: float32[dimension], little-endian, of length 1.

        Args:
            texts: At most `MOST_TEXTS`, none empty.
            key: Who pays, where a provider is asked.

        Raises:
            InvalidRequest: A text cannot be embedded.
            EmbedderMismatch: The model gives another number of numbers than the settings say.
            ConfigError: The model that the settings name makes no vectors.
            Unavailable: It cannot be asked now, or takes too long.
            EngineError, BudgetExceeded: As of any other request.
        """
        _check(texts)
        if self._calls >= _CALLS:
            raise Overloaded("Too many texts wait for the embedder; try again shortly.", retry_after_s=1.0)
        self._calls += 1
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._embed(texts, key)
        except TimeoutError:
            raise DeadlineExceeded(
                f"The embedder '{self.id.id}' did not give its vectors within {self._deadline_s:g} s; try"
                " again, or send less at once.",
                retry_after_s=5.0,
            ) from None
        finally:
            self._calls -= 1

    async def _embed(self, texts: Sequence[str], key: KeyInfo) -> list[bytes]:
        deadline = time.monotonic() + self._deadline_s
        found: list[bytes] = []
        for first in range(0, len(texts), AT_ONCE):
            some = texts[first : first + AT_ONCE]
            async with self._room:
                found += await (self._hash(some) if self._hashed else self._ask(some, key, deadline))
        return found

    async def _hash(self, texts: Sequence[str]) -> list[bytes]:
        assert self._hashed is not None
        if sum(map(len, texts)) <= _QUICK_CHARS:
            rows = self._hashed.embed(texts)
        else:
            rows = await asyncio.to_thread(self._hashed.embed, texts)
        return [row.astype("<f4").tobytes() for row in rows]

    async def _ask(self, texts: Sequence[str], key: KeyInfo, deadline: float) -> list[bytes]:
        try:
            return vectors(await self._model(texts, key, deadline), self.id, len(texts))
        except (ModelNotFound, RouteNotFound):
            raise ConfigError(
                f"'{self.id.id}' makes no vectors. Set memory.embedder to an embedding model that is served"
                " here, to a provider's, or to 'hashed'.",
                param="memory.embedder",
            ) from None


def memory_key(tenant: str) -> KeyInfo:
    """In whose name a tenant's records get new vectors."""
    return replace(OPERATOR, tenant="" if tenant == _OPERATORS_TENANT else tenant)


def vectors(answer: bytes, embedder: EmbedderId, count: int) -> list[bytes]:
    """The vectors of an embeddings answer, in the order of the texts.

    Args:
        answer: OpenAI's JSON, its vectors as numbers or in base64; may be anything.
        embedder: Whose they should be.
        count: How many texts were sent.

    Raises:
        UpstreamError: It is no such answer.
        EmbedderMismatch: The vectors have another dimension.
    """
    try:
        rows = orjson.loads(answer)["data"]
        by_place = {row.get("index", place): row["embedding"] for place, row in enumerate(rows)}
        found = [_numbers(by_place[place]) for place in range(count)]
        good = len(rows) == count
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        good = False
    if not good:
        # Without its cause, which carries the whole answer.
        raise UpstreamError(
            f"The answer of '{embedder.id}' is not the {count} vectors that were asked for; try again."
        ) from None
    return [_checked(vector, embedder) for vector in found]


def _numbers(embedding: Any) -> Vector:
    if isinstance(embedding, str):
        return np.frombuffer(b64decode(embedding, validate=True), "<f4")
    if type(embedding) is not list or not all(type(number) in (int, float) for number in embedding):
        raise TypeError("no vector")
    with np.errstate(over="ignore"):
        return np.asarray(embedding, np.float32)


def _checked(vector: Vector, embedder: EmbedderId) -> bytes:
    if vector.size != embedder.dimension:
        raise EmbedderMismatch(
            f"'{embedder.id}' gives vectors of {vector.size} numbers, the settings say"
            f" {embedder.dimension}. Set memory.dimension to {vector.size}, then: zoran memory reindex",
            param="memory.dimension",
        )
    try:
        direction = unit(vector, embedder.dimension)
    except InvalidRequest:
        raise _nonsense(embedder) from None
    if not math.isfinite(float(direction.sum())):
        raise _nonsense(embedder)
    return direction.astype("<f4").tobytes()


def _nonsense(embedder: EmbedderId) -> UpstreamError:
    return UpstreamError(f"'{embedder.id}' gave a vector without a direction; look at its log.")


def _check(texts: Sequence[str]) -> None:
    if len(texts) > MOST_TEXTS:
        raise InvalidRequest(f"One call embeds at most {MOST_TEXTS} texts. Send less at once.")
    for text in texts:
        if not isinstance(text, str) or not text:
            raise InvalidRequest("Only a text that is not empty has a vector.", param="text")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidRequest("A text has half a surrogate pair. Send it as UTF-8.") from None
