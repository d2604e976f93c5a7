"""What turns texts into vectors, and one that needs nothing: hashed n-grams.

Which embedder made an index is part of the index: numbers of two embedders cannot be compared. Knows no
index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

import numpy as np

from zoran_ray.errors import EmbedderMismatch, InvalidRequest
from zoran_ray.memory.lexical import words
from zoran_ray.memory.record import MOST_DIMENSION, Vector, check_name
from zoran_ray.settings import MemorySettings

HASHED = "hashed"
"""What the settings call `HashedNgrams`."""


class Embedder(Protocol):
    """Makes vectors of one kind.

    Attributes:
        id: What tells its vectors from those of another: model, version, whatever changes the numbers.
        dimension: Numbers in a vector.
    """

    @property
    def id(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    def embed(self, texts: Sequence[str], tenant: str = "") -> Vector:
        """float32[len(texts), dimension].

        Args:
            texts: None of them empty.
            tenant: Whose texts: what may be seen of them is the tenant's to say.
        """


@dataclass(frozen=True, slots=True)
class EmbedderId:
    """Which embedder made an index. Raises: InvalidRequest: A field is none."""

    id: str
    dimension: int

    def __post_init__(self) -> None:
        check_name(self.id, "embedder")
        if not isinstance(self.dimension, int) or not 1 <= self.dimension <= MOST_DIMENSION:
            raise InvalidRequest(f"A dimension is from 1 to {MOST_DIMENSION}.", param="dimension")

    @classmethod
    def of(cls, embedder: "Embedder | EmbedderId") -> "EmbedderId":
        """That of an embedder."""
        return cls(embedder.id, embedder.dimension)


def chosen(settings: MemorySettings) -> EmbedderId:
    """The embedder that the settings name; a name without a provider is one of a model served here.

    Raises:
        InvalidRequest: It is no name.
    """
    name = settings.embedder
    if name == HASHED:
        return EmbedderId.of(HashedNgrams(settings.dimension))
    return EmbedderId(name if "/" in name else f"local/{name}", settings.dimension)


def check_same(made: EmbedderId, asked: EmbedderId) -> None:
    """Raises: EmbedderMismatch: The index was made by another embedder."""
    if made != asked:
        raise EmbedderMismatch(
            f"This memory was made with the embedder {made.id} ({made.dimension} numbers), asked for is"
            f" {asked.id} ({asked.dimension}). Use that one, or make the index anew: zoran memory reindex"
        )


class HashedNgrams:
    """Words and letter triples, hashed into signed counts. Not semantic: it finds spelling, not meaning.

    It needs no model, gives the same numbers on every machine, and finds what shares words or parts of
    words with the question, other forms of a word and typing errors included.

    Args:
        dimension: Numbers in a vector.

    Source: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (ICML 2009).
    """

    def __init__(self, dimension: int = 384) -> None:
        self.dimension = dimension
        self.id = f"hashed-ngrams-1-{dimension}"
        EmbedderId.of(self)

    def embed(self, texts: Sequence[str], tenant: str = "") -> Vector:
        """float32[len(texts), dimension], each of length 1; the same for every tenant."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for feature, weight in _features(text):
                number = int.from_bytes(blake2b(feature.encode(), digest_size=8).digest(), "little")
                vector[(number >> 1) % self.dimension] += weight if number & 1 else -weight
            length = float(np.linalg.norm(vector))
            if length > 0:
                vector /= length
            else:
                vector[0] = 1.0  # a text without a word still needs a direction
        return vectors


def _features(text: str) -> list[tuple[str, float]]:
    found = []
    for word in words(text):
        found.append((f"w{word}", 1.0))
        framed = f"<{word}>"
        found += [(f"t{framed[i : i + 3]}", 0.4) for i in range(len(framed) - 2)]
    return found
