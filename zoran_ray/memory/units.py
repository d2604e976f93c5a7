"""Directions: vectors of length 1. Knows no index, so that whoever only asks the memory needs none."""

import math
from collections.abc import Sequence

import numpy as np

from zoran_ray.errors import InvalidRequest
from zoran_ray.memory.record import Vector

ROUNDING = 2.5e-7
"""A length in float32 can be this far from 1 and mean 1."""


def unit(vector: Vector, dimension: int) -> Vector:
    """The vector of length 1 in the same direction, float32[d]; itself where it has that length.

    Raises:
        InvalidRequest: It has another dimension, or no direction.
    """
    if vector.shape != (dimension,):
        raise InvalidRequest(
            f"The embedding has {vector.size} numbers, this memory has {dimension}."
            " Use the embedder that the memory was made with.",
            param="embedding",
        )
    exact = vector.astype(np.float64)
    length = math.sqrt(exact.dot(exact))
    if abs(length - 1.0) < ROUNDING:
        return vector
    if not math.isfinite(length) or length < 1e-15:
        raise InvalidRequest("An embedding needs finite numbers, not all of them 0.", param="embedding")
    found: Vector = (exact / length).astype(np.float32)
    return found


def are_unit(embeddings: Sequence[bytes], dimension: int) -> list[bool]:
    """Of each embedding, little-endian float32, whether `unit` would leave it as it is."""
    found = [len(embedding) == 4 * dimension for embedding in embeddings]
    there = b"".join([embedding for embedding, fits in zip(embeddings, found, strict=True) if fits])
    exact = np.frombuffer(there, "<f4").reshape(-1, dimension).astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", exact, exact))
    fine = iter((np.abs(lengths - 1.0) < ROUNDING).tolist())
    return [fits and next(fine) for fits in found]
