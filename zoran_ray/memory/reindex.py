"""Makes the vectors of a shard anew with another embedder. Knows no disk.

Old and new vectors are in memory together until all are made: for that time a shard needs twice its memory.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, islice

import numpy as np

from zoran_ray.errors import InvalidRequest
from zoran_ray.memory.embedder import Embedder
from zoran_ray.memory.ops import Batch, Give, Put
from zoran_ray.memory.record import Record
from zoran_ray.memory.state import ShardState
from zoran_ray.memory.units import unit

AT_ONCE = 64
"""Texts embedded together."""


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What was done.

    Attributes:
        shards: Shards whose vectors were made anew.
        skipped: Shards whose vectors were the wanted ones already.
        records: Records of the former.
    """

    shards: int = 0
    skipped: int = 0
    records: int = 0


def embed_anew(
    old: ShardState, fresh: ShardState, embedder: Embedder, progress: Callable[[int, int], None] | None
) -> None:
    """Copies a state with vectors of another embedder. What has no text has no vector after that.

    Args:
        old: From where; it stays as it is.
        fresh: To where; empty, of the embedder's dimension.
        embedder: Makes the vectors.
        progress: Told how many records of how many are done.

    Raises:
        InvalidRequest: The embedder gives something else than it says.
    """
    fresh.apply(Batch(old.floor, tuple(Give(consent) for consent in old.consents.all())))
    done = 0
    for some in _by_tenant(old):
        fresh.apply(Batch(old.floor, tuple(map(Put, _embedded(some, embedder)))))
        done += len(some)
        if progress is not None:
            progress(done, old.records)


def _by_tenant(state: ShardState) -> Iterator[tuple[Record, ...]]:
    """All records, some of one tenant at a time."""
    for _, records in groupby(state.all_records(), lambda record: record.tenant):
        while some := tuple(islice(records, AT_ONCE)):
            yield some


def _embedded(records: tuple[Record, ...], embedder: Embedder) -> list[Record]:
    told = [record for record in records if record.text]
    if not told:
        return [replace(record, embedding=b"") for record in records]
    vectors = np.asarray(embedder.embed([record.text for record in told], told[0].tenant), np.float32)
    if vectors.shape != (len(told), embedder.dimension):
        raise InvalidRequest(f"The embedder {embedder.id} gives {vectors.shape} numbers, not what it says.")
    made = iter(vectors)
    return [
        replace(record, embedding=unit(next(made), embedder.dimension).astype("<f4").tobytes())
        if record.text
        else replace(record, embedding=b"")
        for record in records
    ]
