"""An operator's Qdrant finds the nearest vectors of a shard. Optional: the extra `[qdrant]`.

The seam is the search among one tenant's vectors, `DenseIndex.search`, and nothing above it. The shard
keeps its vectors, and Qdrant a copy of them that can be lost and made again at any time. So consent,
layers, words, the log and forgetting stay where they are tested: what Qdrant names is a suggestion, of
which only slots count that are there and allowed, scored with the shard's own numbers. It saves the shard
the search, not the memory for the vectors.

- A point is a vector, the hash of its tenant's name, and as its id a hash of both. No text, no subject, no
  record's id goes there. A text can be guessed from its vector all the same: whoever runs Qdrant must be
  trusted with it.
- A filter of which few records are left is searched here, which is exact; else more is asked for than is
  wanted. So Qdrant need not know what records are about.
- A point goes in the same call in which the last record with that vector is forgotten. Where Qdrant does
  not answer, it is left alone for `REST_S`; searches are made here, and the point goes with a later call.
- The first call and each compaction compare all ids: what should not be there goes. A compaction fails
  where Qdrant does not answer; one that succeeds proves that what was forgotten is gone from there too.

Tested with the official client's local mode, not with a Qdrant server.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from uuid import UUID

import numpy as np

from zoran_ray.errors import Unavailable
from zoran_ray.memory.dense import FEW, MARGIN, DenseIndex, Mask
from zoran_ray.memory.embedder import EmbedderId
from zoran_ray.memory.record import Vector
from zoran_ray.memory.units import unit

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

LEAST = 20_000
"""Vectors of a tenant from which on Qdrant is asked: among fewer, a search is over before it answers."""
REST_S = 30.0
"""How long Qdrant is left alone after it did not answer, in seconds."""

_BATCH = 256
_BATCHES = 4
"""Most that one write waits for."""
_PAGE = 10_000
_MOST_UNSENT = 10_000
"""More vectors than this that Qdrant does not have yet are not looked at one by one."""
_MOST_ASKED = 4000
_MORE = 1.5
"""Asked for beyond what a filter leaves on average."""

P = ParamSpec("P")
T = TypeVar("T")
PointId = int | str | UUID
MakeMirror = Callable[[str, EmbedderId], "QdrantMirror"]
"""From the id of a shard's folder and its embedder."""


class QdrantMirror:
    """A copy of one shard's vectors in a collection of its own. One thread at a time.

    Args:
        client: Reaches Qdrant.
        shard: Id of the shard's folder; no other has it.
        embedder: Whose vectors they are.
        clock: Monotonic seconds.
        least: Vectors of a tenant from which on Qdrant is asked.
    """

    def __init__(
        self,
        client: "QdrantClient",
        shard: str,
        embedder: EmbedderId,
        clock: Callable[[], float] = time.monotonic,
        least: int = LEAST,
    ) -> None:
        self._client = client
        self._family = f"zoran-{shard}-"
        digest = blake2b(f"{embedder.id}/{embedder.dimension}".encode(), digest_size=8).hexdigest()
        self.name = self._family + digest
        self.least = least
        self._dimension = embedder.dimension
        self._clock = clock
        self._rests_until = -1.0
        self._compared = False
        self._known: dict[int, MirroredIndex] = {}
        self._unsent: dict[int, None] = {}
        self._gone: dict[PointId, None] = {}

    def index(self, tenant: str) -> "MirroredIndex":
        """The index of one tenant that has none yet."""
        return MirroredIndex(self, tenant, self._dimension)

    def came(self, point: int, owner: "MirroredIndex") -> None:
        """A vector is there that was not."""
        self._known[point] = owner
        if self._compared:
            self._unsent[point] = None
            self._gone.pop(point, None)

    def went(self, point: int) -> None:
        """No record has this vector any more."""
        self._known.pop(point, None)
        if self._compared:
            self._unsent.pop(point, None)
            self._gone[point] = None

    def settle(self) -> None:
        """Tells Qdrant what changed: what went at once, what came in batches. Where it does not answer, the
        next call does after `REST_S`."""
        if self._compared and not self._gone and len(self._unsent) < _BATCH:
            return
        if self._clock() < self._rests_until:
            return
        with contextlib.suppress(Unavailable):
            if not self._compared:
                self._compare()
            self._delete()
            for _ in range(min(_BATCHES, len(self._unsent) // _BATCH)):
                self._send()

    def compare(self) -> None:
        """Makes Qdrant's copy the same as what is here, whatever it has. Raises: Unavailable."""
        self._compare()
        self._delete()
        while self._unsent:
            self._send()

    def unsent(self, owner: "MirroredIndex") -> list[int] | None:
        """Points of a tenant that Qdrant does not have yet; None for too many."""
        if len(self._unsent) > _MOST_UNSENT:
            return None
        return [point for point in self._unsent if self._known[point] is owner]

    def nearest(self, tenant: str, query: Vector, count: int) -> list[int] | None:
        """The about `count` points of a tenant that are nearest; None where Qdrant does not say."""
        from qdrant_client import models

        if not self._compared or self._clock() < self._rests_until:
            return None
        own = models.FieldCondition(key="tenant", match=models.MatchValue(value=tenant))
        try:
            found = self._ask(
                self._client.query_points,
                self.name,
                query.tolist(),
                query_filter=models.Filter(must=[own]),
                search_params=models.SearchParams(hnsw_ef=max(128, count)),
                limit=count,
                with_payload=False,
            )
        except Unavailable:
            return None
        return [point.id for point in found.points if isinstance(point.id, int)]

    def _compare(self) -> None:
        """Finds out what Qdrant has, and what it should have."""
        self._make()
        there = set(self._ids())
        self._gone = dict.fromkeys(there.difference(self._known))
        self._unsent = dict.fromkeys(point for point in self._known if point not in there)
        self._compared = True

    def _make(self) -> None:
        """The collection, and none of another embedder: those have vectors that may be forgotten."""
        from qdrant_client import models

        names = {each.name for each in self._ask(self._client.get_collections).collections}
        for name in names:
            if name.startswith(self._family) and name != self.name:
                self._ask(self._client.delete_collection, name)
        if self.name in names:
            return
        shape = models.VectorParams(size=self._dimension, distance=models.Distance.DOT)
        self._ask(self._client.create_collection, self.name, vectors_config=shape)
        by_tenant = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
        self._ask(self._client.create_payload_index, self.name, "tenant", by_tenant)

    def _ids(self) -> Iterator[PointId]:
        offset = None
        while True:
            page, offset = self._ask(
                self._client.scroll, self.name, limit=_PAGE, offset=offset, with_payload=False
            )
            yield from (point.id for point in page)
            if offset is None:
                return

    def _delete(self) -> None:
        from qdrant_client import models

        while some := list(islice(self._gone, _PAGE)):
            self._ask(self._client.delete, self.name, models.PointIdsList(points=some), wait=True)
            for point in some:
                del self._gone[point]

    def _send(self) -> None:
        from qdrant_client import models

        some = list(islice(self._unsent, _BATCH))
        owners = [self._known[point] for point in some]
        batch = models.Batch(
            ids=some,
            vectors=[owner.of_point(point).tolist() for point, owner in zip(some, owners, strict=True)],
            payloads=[{"tenant": owner.tenant} for owner in owners],
        )
        self._ask(self._client.upsert, self.name, batch, wait=True)
        for point in some:
            del self._unsent[point]

    def _ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return question(*args, **kwargs)
        except Exception as failure:
            # Whatever it is, the shard goes on without Qdrant. Its text may have the address and more.
            self._rests_until = self._clock() + REST_S
            self._compared = False
            self._gone, self._unsent = {}, {}  # found out again by the next comparison
            raise Unavailable(
                f"Qdrant does not do what it should ({type(failure).__name__}). What was forgotten is gone"
                " here, but may be there as vectors. Bring it back, then: zoran memory compact",
                retry_after_s=REST_S,
            ) from None


class MirroredIndex(DenseIndex):
    """A tenant's vectors, of which there is a copy in Qdrant.

    Args:
        mirror: The shard's copy.
        tenant: Whose vectors.
        dimension: Numbers in a vector.

    Attributes:
        tenant: Hash of the tenant's name.
    """

    def __init__(self, mirror: QdrantMirror, tenant: str, dimension: int) -> None:
        super().__init__(dimension)
        self._mirror = mirror
        self.tenant = blake2b(tenant.encode(), digest_size=16, person=b"zoran-qdrant").hexdigest()
        self._slots: dict[int, tuple[int, ...]] = {}
        self._slots_end = 0

    @property
    def size_bytes(self) -> int:
        """Bytes of memory, about."""
        return super().size_bytes + 250 * len(self._slots)

    def of_point(self, point: int) -> Vector:
        """The vector that a point stands for."""
        found = self.vector(self._slots[point][0])
        assert found is not None
        return found

    def add_all(self, slots: Sequence[int], vectors: Vector) -> None:
        """Adds unit vectors, float32[n, d], each under a slot that has none."""
        super().add_all(slots, vectors)
        self._slots_end = max(self._slots_end, 1 + max(slots, default=-1))
        for slot, vector in zip(slots, vectors, strict=True):
            point = self._point(vector)
            if not (same := self._slots.get(point, ())):
                self._mirror.came(point, self)
            self._slots[point] = (*same, slot)

    def remove(self, slot: int) -> None:
        """Removes a slot's vector, if it has one."""
        vector = self.vector(slot)
        if vector is None:
            return
        point = self._point(vector)
        left = tuple(same for same in self._slots.pop(point) if same != slot)
        if left:
            self._slots[point] = left
        else:
            self._mirror.went(point)
        super().remove(slot)

    def search(self, query: Vector, k: int, allowed: Mask | None = None) -> list[tuple[int, float]]:
        """As in `DenseIndex`; Qdrant says where to look, if that helps."""
        near = self._near(unit(query, self.dimension), k + MARGIN, allowed)
        return super().search(query, k, allowed if near is None else near)

    def _near(self, query: Vector, k: int, allowed: Mask | None) -> Mask | None:
        """Which slots to look at, bool[slots]; None for all."""
        count = len(self)
        wanted = count if allowed is None else int(np.count_nonzero(allowed))
        unsent = self._mirror.unsent(self)
        if count < self._mirror.least or wanted < FEW * count or wanted <= k or unsent is None:
            return None
        asked = min(_MOST_ASKED, int(_MORE * k * max(1.0, count / wanted)))
        points = self._mirror.nearest(self.tenant, query, asked)
        if points is None:
            return None
        near: Mask = np.zeros(self._slots_end if allowed is None else len(allowed), np.bool_)
        for point in (*points, *unsent):
            near[list(self._slots.get(point, ()))] = True
        if allowed is not None:
            near &= allowed
        return near if np.count_nonzero(near) >= k else None

    def _point(self, vector: Vector) -> int:
        numbers = np.ascontiguousarray(vector, "<f4").tobytes()
        digest = blake2b(numbers, digest_size=8, key=self.tenant.encode()).digest()
        return int.from_bytes(digest, "little")
