"""Makes the vectors of a shard anew with another embedder. Knows no disk."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np

from zoran_ray.errors import InvalidRequest
from zoran_ray.memory.dense import unit
from zoran_ray.memory.embedder import Embedder
from zoran_ray.memory.ops import Batch, Give, Put
from zoran_ray.memory.record import Record
from zoran_ray.memory.state import ShardState

AT_ONCE = 64
"""Texts embedded together."""


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
    records = old.all_records()
    while some := tuple(islice(records, AT_ONCE)):
        fresh.apply(Batch(old.floor, tuple(map(Put, _embedded(some, embedder)))))
        done += len(some)
        if progress is not None:
            progress(done, old.records)


def _embedded(records: tuple[Record, ...], embedder: Embedder) -> list[Record]:
    told = [record for record in records if record.text]
    if not told:
        return [replace(record, embedding=b"") for record in records]
    vectors = np.asarray(embedder.embed([record.text for record in told]), np.float32)
    if vectors.shape != (len(told), embedder.dimension):
        raise InvalidRequest(f"The embedder {embedder.id} gives {vectors.shape} numbers, not what it says.")
    made = iter(vectors)
    return [
        replace(record, embedding=unit(next(made), embedder.dimension).astype("<f4").tobytes())
        if record.text
        else replace(record, embedding=b"")
        for record in records
    ]
