"""A sketch of many vectors: half a byte for four numbers, from which the likely best of a search are read.

It finds candidates; whoever holds the vectors settles their order. Nothing is trained: vectors are taken
from the mean of the first ones and rotated at random, so that every four of their numbers lie like a small
cloud whose best 16 points are known. What is added later needs no second look at what is there, and order
does not matter. Knows rows, no slots.

Source: product quantisation (Jégou, Douze and Schmid, TPAMI 2011) with one universal codebook, read with
the shuffles of FAISS' fast scan (André, Kermarrec and Le Scouarnec, VLDB 2015).
"""

from functools import cache
from typing import Any, cast

import faiss
import numpy as np
import numpy.typing as npt

from zoran_ray.memory.record import Vector

_TOGETHER = 4
"""Numbers that one code stands for."""
_CODES = 16
_MOST_TURNED = 512
"""Numbers that are rotated together: more cost time and gain nothing."""
_SAMPLE = 10_000


class Sketch:
    """Codes of rows 0, 1, 2 …, for the inner product.

    Args:
        rows: float32[n, d]: the first vectors, which say where their middle is and how far they are from
            it. They are not added. Where later ones lie elsewhere, more candidates are needed.
    """

    def __init__(self, rows: Vector) -> None:
        sample = rows[:: -(-len(rows) // _SAMPLE)]
        self._centre: Vector = sample.mean(axis=0)
        self._order, self._turn = _rotation(rows.shape[1])
        spread = np.sqrt(np.square(sample - self._centre).sum(axis=1).mean() / rows.shape[1])
        parts = self._order.size // _TOGETHER
        # `Any`: FAISS' type stubs know only a part of it.
        self._index = cast(
            Any, faiss.IndexPQFastScan(self._order.size, parts, 4, faiss.METRIC_INNER_PRODUCT)
        )
        points = np.tile(_points() * max(spread, np.float32(1e-6)), (parts, 1))
        faiss.copy_array_to_vector(points.astype(np.float32).ravel(), self._index.pq.centroids)
        self._index.is_trained = True
        self._packer = self._index.get_CodePacker()

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def size_bytes(self) -> int:
        """Bytes of memory."""
        return int(self._index.codes.size()) + self._turn.nbytes

    def extend(self, rows: Vector) -> None:
        """Adds float32[n, d] behind the last row: about 8 µs a row of 384 numbers."""
        self._index.add(self._turned(rows))

    def replace(self, row: int, vector: Vector) -> None:
        """Another vector, float32[d], in a row's place."""
        self._write(row, self._index.pq.compute_codes(self._turned(vector[np.newaxis]))[0])

    def cut(self) -> None:
        """Removes the last row; its code is overwritten."""
        last = len(self) - 1
        self._write(last, np.zeros(self._packer.code_size, np.uint8))
        self._index.ntotal = last
        self._index.ntotal2 = -(-last // self._index.bbs) * self._index.bbs

    def best(self, query: Vector, k: int) -> npt.NDArray[np.int64]:
        """The `k` rows nearest to a query, float32[d], as far as the sketch can tell; of equals any."""
        if k >= len(self):
            return np.arange(len(self))
        found = self._index.search(self._turned(query[np.newaxis]), k)[1][0]
        rows: npt.NDArray[np.int64] = found[found >= 0]
        return rows

    def _turned(self, rows: Vector) -> Vector:
        blocks = len(self._order) // len(self._turn)
        wide = np.zeros((len(rows), len(self._order)), np.float32)
        wide[:, : rows.shape[1]] = rows - self._centre
        parts = wide[:, self._order].reshape(len(rows) * blocks, -1)
        turned: Vector = (parts @ self._turn).reshape(len(rows), -1)
        return turned

    def _write(self, row: int, code: npt.NDArray[np.uint8]) -> None:
        codes = self._index.codes
        blocks = faiss.rev_swig_ptr(codes.get(), codes.size()).reshape(-1, self._packer.block_size)
        block, place = divmod(row, self._packer.nvec)
        self._packer.pack_1(code, place, blocks[block : block + 1])


@cache
def _rotation(dimension: int) -> tuple[npt.NDArray[np.int64], Vector]:
    """An order of the numbers, and an orthogonal matrix for each block of them in that order."""
    blocks = -(-dimension // _MOST_TURNED)
    width = -(-dimension // (blocks * 2 * _TOGETHER)) * 2 * _TOGETHER
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.standard_normal((width, width)))[0].astype(np.float32)
    return rng.permutation(blocks * width), turn


@cache
def _points() -> Vector:
    """The 16 points that are best for a round cloud in four dimensions, float32[16, 4]."""
    cloud = np.random.default_rng(1).standard_normal((_CODES * 1000, _TOGETHER)).astype(np.float32)
    means = faiss.Kmeans(_TOGETHER, _CODES, niter=25, seed=1, max_points_per_centroid=1000)
    means.train(cloud)
    found = means.centroids
    assert found is not None
    return found
