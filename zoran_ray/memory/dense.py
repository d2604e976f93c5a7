"""Vectors of one tenant and the search among them. Knows rows and slots, not what they stand for.

Up to `EXACT` vectors every search looks at all of them. Beyond, a sketch of them (`memory.sketch`) says
which ones are worth looking at: the scores are the same cosines, but one of the best may be missed. How
often, benchmarks/README.md says.

The sketch is made on the way, behind the vectors; those that it does not cover yet are all looked at. One
write in `STEP` vectors makes up to `4 * STEP` rows of it. A write for which the matrix has to grow waits
for a copy of it: of a million vectors about a second.
"""

from collections.abc import Iterator, Sequence

import faiss
import numpy as np
import numpy.typing as npt

from zoran_ray.memory.record import Vector
from zoran_ray.memory.sketch import Sketch
from zoran_ray.memory.units import unit

EXACT = 100_000
"""Most vectors that are all looked at: in 384 dimensions 150 MB, read for each question."""
STEP = 1024
LEAST_DEPTH = 4000
"""Candidates that are taken from a sketch at least."""
SHARE = 150
"""One row in so many is a candidate."""
FEW = 0.125
"""Below this share of allowed rows they are looked at one by one; above it the others are skipped."""
MARGIN = 16
"""Rows beyond the wanted ones whose order is settled in float64: float32 sums depend on the place."""

_SMALL_BYTES, _LARGE_BYTES = 1 << 20, 1 << 29

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
        self._sketch: Sketch | None = None
        self._touched = 0

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def size_bytes(self) -> int:
        """Bytes of memory, about."""
        # A row that was never written to has no memory yet.
        sketch = 0 if self._sketch is None else self._sketch.size_bytes
        return (4 * self.dimension + 8) * self._touched + 100 * len(self._row_of) + sketch

    def add(self, slot: int, vector: Vector) -> None:
        """Adds a unit vector, float32[d], under a slot that has none."""
        self.add_all([slot], vector[np.newaxis])

    def add_all(self, slots: Sequence[int], vectors: Vector) -> None:
        """Adds unit vectors, float32[n, d], each under a slot that has none."""
        first = len(self._row_of)
        end = first + len(slots)
        while end > len(self._rows):
            self._grow(_more(len(self._rows), 4 * self.dimension))
        self._rows[first:end] = vectors
        self._slot_of[first:end] = slots
        self._touched = max(self._touched, end)
        self._row_of.update(zip(slots, range(first, end), strict=True))
        if end > EXACT and first // STEP != end // STEP:
            self._draw(4 * max(STEP, len(slots)))

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
        self._rub_out(row, last)
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
        fits = None if allowed is None else allowed[self._slot_of[:count]]
        wanted = count if fits is None else int(np.count_nonzero(fits))
        if fits is None or wanted == count:
            fits = None
        elif wanted <= k or wanted < FEW * count:
            return self._best_of(query, k, np.flatnonzero(fits))
        if self._sketch is None:
            return _nearest(query, self._rows[:count], min(k, wanted), fits)
        return self._best_of(query, k, self._likely(self._sketch, query, wanted / count, fits))

    def _likely(
        self, sketch: Sketch, query: Vector, share: float, fits: Mask | None
    ) -> npt.NDArray[np.int64]:
        """Rows among which the best are: what the sketch finds, and all that it does not cover."""
        depth = max(LEAST_DEPTH, len(sketch) // SHARE)
        found = sketch.best(query, int(depth / share))
        rest = np.arange(len(sketch), len(self._row_of))
        if fits is not None:
            found, rest = found[fits[found]], rest[fits[rest]]
        # Where few of the nearest are allowed, the nearest that are allowed may be anywhere.
        if 2 * len(found) < depth:
            return np.arange(len(self._row_of)) if fits is None else np.flatnonzero(fits)
        return np.concatenate([found, rest])

    def _best_of(self, query: Vector, k: int, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Those of some rows with the `k` largest inner products."""
        if len(rows) <= k:
            return rows
        scores = np.empty(len(rows), np.float32)
        query = np.ascontiguousarray(query)
        rows = np.sort(rows)  # in the order in which they lie in memory
        faiss.fvec_inner_products_by_idx(  # type: ignore[attr-defined]
            *(faiss.swig_ptr(scores), faiss.swig_ptr(query), faiss.swig_ptr(self._rows)),
            *(faiss.swig_ptr(rows), self.dimension, 1, len(rows)),
        )
        best: npt.NDArray[np.int64] = rows[np.argpartition(scores, -k)[-k:]]
        return best

    def _draw(self, rows: int) -> None:
        """Goes on with the sketch for so many rows."""
        count = len(self._row_of)
        if self._sketch is None:
            self._sketch = Sketch(self._rows[:count])
        start = len(self._sketch)
        if start < count:
            self._sketch.extend(self._rows[start : min(count, start + rows)])

    def _rub_out(self, row: int, last: int) -> None:
        """Of the sketch: what was the last row is in another's place now, and is the last no more."""
        if self._sketch is None:
            return
        if row < min(last, len(self._sketch)):
            self._sketch.replace(row, self._rows[row])
        if last < len(self._sketch):
            self._sketch.cut()
        if last < EXACT // 2:
            self._sketch = None

    def _grow(self, rows: int) -> None:
        # Not `resize`: what is moved in place loses its huge pages, and a search a fifth of its speed.
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
    """Rows to make room for where there are so many.

    In large steps: room costs no memory before it is used, and copying keeps a write waiting. Below a
    million rows of 384 numbers the last step copies 262,144 rows.
    """
    used = rows * row_bytes
    if used < _SMALL_BYTES:
        return max(8, 2 * rows)
    return 4 * rows if used < _LARGE_BYTES else rows + rows // 2


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
