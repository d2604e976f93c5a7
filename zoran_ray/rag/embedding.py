"""Embedders of an index: hashed n-grams, which need nothing, or a server's model. Knows no index."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from zoran_ray.errors import InvalidRequest, UpstreamError
from zoran_ray.memory.embedder import HASHED, Embedder, EmbedderId, HashedNgrams
from zoran_ray.memory.record import Vector

AT_ONCE = 64
"""Texts of one request."""
_HASHED_ID = re.compile(r"hashed-ngrams-1-(\d+)")

Ask = Callable[[str, str, Mapping[str, Any]], Any]
"""Asks a server: method, path behind `/v1/`, body. Gives the JSON it answers."""


class ModelEmbedder:
    """Asks a server's embedding model.

    Args:
        ask: Asks the server.
        model: Its public name.
        dimension: Numbers in a vector; None to ask the model, which is done at once.

    Raises:
        ZoranError: The server does not answer with vectors.
    """

    def __init__(self, ask: Ask, model: str, dimension: int | None = None) -> None:
        self._ask = ask
        self.id = model
        self.dimension = dimension or len(self._some(["dimension"])[0])
        EmbedderId.of(self)

    def embed(self, texts: Sequence[str], tenant: str = "") -> Vector:
        """float32[len(texts), dimension]."""
        groups = [texts[start : start + AT_ONCE] for start in range(0, len(texts), AT_ONCE)]
        rows = [row for group in groups for row in self._some(group)]
        if any(len(row) != self.dimension for row in rows):
            raise UpstreamError(f"The model gave vectors that are not of {self.dimension} numbers.")
        return np.asarray(rows, np.float32).reshape(len(texts), self.dimension)

    def _some(self, texts: Sequence[str]) -> list[list[float]]:
        body = {"model": self.id, "input": list(texts), "encoding_format": "float"}
        answer = self._ask("POST", "embeddings", body)
        try:
            found = sorted(answer["data"], key=lambda row: row["index"])
            rows = [[float(number) for number in row["embedding"]] for row in found]
        except (KeyError, TypeError, ValueError):
            rows = []
        if len(rows) != len(texts):
            raise UpstreamError(
                "The server's answer has not one vector for each text; is it an embedding model?"
            )
        return rows


def embedder_of(made: EmbedderId, ask: Ask) -> Embedder:
    """The embedder that made an index. Raises: InvalidRequest: It is none that is known."""
    if found := _HASHED_ID.fullmatch(made.id):
        return HashedNgrams(int(found[1]))
    if made.id.startswith("hashed-"):
        raise InvalidRequest(f"The index was made by {made.id}, which is not known. Make it anew.")
    return ModelEmbedder(ask, made.id, made.dimension)


def named(name: str, dimension: int, ask: Ask) -> Embedder:
    """The embedder of a name: `hashed`, or a model's public name."""
    return HashedNgrams(dimension) if name == HASHED else ModelEmbedder(ask, name)
