"""Vectors of one tenant and the exact search among them. Knows rows and slots, not what they stand for."""

import math
from collections.abc import Iterator

import faiss
import numpy as np
import numpy.typing as npt

from zoran_ray.errors import InvalidRequest
from zoran_ray.memory.record import Vector

FEW = 0.125
"""Below this share of allowed rows they are gathered; above it FAISS skips the others. Either is exact."""
ROUNDING = 2.5e-7
"""A length in float32 can be this far from 1 and mean 1."""
MARGIN = 16
"""Rows beyond the wanted ones whose order is settled in float64: float32 sums depend on the place."""

_SMALL_BYTES, _LARGE_BYTES = 1 << 20, 64 << 20

Mask = npt.NDArray[np.bool_]


class DenseIndex:
    """Unit vectors in one matrix without holes; the score is the cosine.

    Args:
        dimension: Numbers in a vector.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._rows: Vector = np.zeros((0, dimension), np.float32)
        self._slot_of = np.zeros(0, np.int64)
        self._row_of: dict[int, int] = {}
        self._touched = 0

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def size_bytes(self) -> int:
        """Bytes of memory, about."""
        # A row that was never written to has no memory yet.
        return (4 * self.dimension + 8) * self._touched + 100 * len(self._row_of)

    def add(self, slot: int, vector: Vector) -> None:
        """Adds a unit vector, float32[d], under a slot that has none."""
        row = len(self._row_of)
        if row == len(self._rows):
            self._grow(_more(row, 4 * self.dimension))
        self._rows[row] = vector
        self._slot_of[row] = slot
        self._row_of[slot] = row
        self._touched = max(self._touched, row + 1)

    def remove(self, slot: int) -> None:
        """Removes a slot's vector, if it has one; its numbers are overwritten."""
        row = self._row_of.pop(slot, None)
        if row is None:
            return
        last = len(self._row_of)
        if row != last:
            self._rows[row] = self._rows[last]
            self._slot_of[row] = self._slot_of[last]
            self._row_of[int(self._slot_of[row])] = row
        self._rows[last] = 0.0
        if len(self._rows) > 64 and last < len(self._rows) // 4:
            self._grow(len(self._rows) // 2)

    def vector(self, slot: int) -> Vector | None:
        """A slot's unit vector, None where it has none."""
        row = self._row_of.get(slot)
        return None if row is None else self._rows[row]

    def search(self, query: Vector, k: int, allowed: Mask | None = None) -> list[tuple[int, float]]:
        """The `k` best slots and a few more, with their cosines, in no order.

        Args:
            query: float32[d].
            k: How many are wanted.
            allowed: bool[slots]; None for all.

        Raises:
            InvalidRequest: The query has another dimension, or no direction.
        """
        direction = unit(query, self.dimension)
        rows = self._candidates(direction, k + MARGIN, allowed)
        exact = direction.astype(np.float64)
        # One product a row: a product of matrices may add up in an order that depends on other rows.
        return [
            (int(self._slot_of[row]), float(self._rows[row].astype(np.float64) @ exact)) for row in rows
        ]

    def _candidates(self, query: Vector, k: int, allowed: Mask | None) -> npt.NDArray[np.int64]:
        """Rows of the about `k` best."""
        count = len(self._row_of)
        if allowed is None:
            return _nearest(query, self._rows[:count], k, None)
        fits = allowed[self._slot_of[:count]]
        wanted = int(np.count_nonzero(fits))
        if wanted == count:
            return _nearest(query, self._rows[:count], k, None)
        if wanted <= k or wanted < FEW * count:
            rows = np.flatnonzero(fits)
            return rows[_nearest(query, self._rows[rows], k, None)]
        return _nearest(query, self._rows[:count], min(k, wanted), fits)

    def _grow(self, rows: int) -> None:
        count = len(self._row_of)
        bigger = np.zeros((rows, self.dimension), np.float32)
        bigger[:count] = self._rows[:count]
        slots = np.zeros(rows, np.int64)
        slots[:count] = self._slot_of[:count]
        self._rows, self._slot_of, self._touched = bigger, slots, count

    def slots(self) -> Iterator[int]:
        """Slots that have a vector."""
        return iter(self._row_of)


def _more(rows: int, row_bytes: int) -> int:
    """Rows to make room for where there are so many: in large steps while that costs little."""
    used = rows * row_bytes
    if used < _SMALL_BYTES:
        return max(8, 2 * rows)
    return 4 * rows if used < _LARGE_BYTES else rows + rows // 2


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


def _nearest(query: Vector, rows: Vector, k: int, fits: Mask | None) -> npt.NDArray[np.int64]:
    """Indices of the `k` rows with the largest inner product."""
    k = min(k, len(rows))
    if k == 0:
        return np.zeros(0, np.int64)
    scores, found = np.zeros((1, k), np.float32), np.zeros((1, k), np.int64)
    bits = None if fits is None else np.packbits(fits, bitorder="little")
    only = None if bits is None else faiss.IDSelectorBitmap(len(rows), faiss.swig_ptr(bits))
    query = np.ascontiguousarray(query[np.newaxis])
    faiss.knn_inner_product(
        *(faiss.swig_ptr(query), faiss.swig_ptr(rows), query.shape[1], 1, len(rows), k),
        *(faiss.swig_ptr(scores), faiss.swig_ptr(found), only),
    )
    hits: npt.NDArray[np.int64] = found[0][found[0] >= 0]
    return hits
