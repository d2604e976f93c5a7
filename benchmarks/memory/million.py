"""A tenant of a million records on one shard: what a search finds and takes, what a record costs.

Two sets of vectors, both made up. `clustered`: like embeddings of texts. 2,000 topics of uneven size in 50
fields; around a topic the vectors spread in 32 directions (0.8 of the topic's length), and a little in all
of them (0.3). Questions are drawn like records. `random`: every direction is as likely as any other, so
nothing is near anything: the worst case for every index, and no embedder's.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import faiss
import numpy as np

from benchmarks.memory.store import TOP, Matrix, texts, unit
from zoran_ray.memory.bounds import Bounds
from zoran_ray.memory.embedder import EmbedderId
from zoran_ray.memory.record import Layer, Record
from zoran_ray.memory.rules import read_rules
from zoran_ray.memory.search import Filter, Query
from zoran_ray.memory.shard import MemoryShard
from zoran_ray.memory.store import Durability
from zoran_ray.memory.wal import Fsync

BATCH = 1000
TOPICS, FIELDS, INTRINSIC = 2000, 50, 32
TEXTS = 20_000
SUBJECTS = 100
SEED = 2026
"""Of data that nothing was tuned on."""
BARE_QUERIES = 10

_RULES = Path(__file__).parents[2] / "configs" / "memory.yaml"

Search = Callable[[Query], list[str]]
"""Ids of the best records, best first: a shard, several, or anything else that is to be compared."""


def measure(
    records: int = 1_000_000, dimension: int = 384, queries: int = 100, folder: Path | None = None
) -> dict[str, Any]:
    """Figures of one process on one core, beside all records in one matrix.

    Args:
        records: How many.
        dimension: Numbers in an embedding.
        queries: How many questions, one at a time.
        folder: Where to put the shard.

    Returns:
        For `clustered` and `random`: what `searched` gives for questions without a filter (`all`) and for
        those about one subject in a hundred (`one_subject`); `bare_ms`: a flat FAISS search (median);
        `slowest_write_s` of a batch of `BATCH`, `write_us` a record (not waiting for the disk);
        `bytes_per_record` of memory by the shard's own count.
    """
    found: dict[str, Any] = {"records": records, "dimension": dimension, "batch": BATCH}
    for name, make in (("clustered", clustered), ("random", random)):
        vectors = make(records + queries, dimension)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            found[name] = _measured(vectors[:records], vectors[records:], Path(scratch))
        del vectors
    return found


def searched(search: Search, queries: Matrix, exact: list[set[str]], where: Filter) -> dict[str, float]:
    """`recall` of the `TOP` best, and `p50_ms` and `p99_ms` of a search, of anything that can search."""
    hits, spent = 0, []
    for query, wanted in zip(queries, exact, strict=True):
        asked = Query("t", embedding=query.tobytes(), limit=TOP, where=where)
        began = time.perf_counter()
        answer = search(asked)
        spent.append((time.perf_counter() - began) * 1000)
        hits += len(wanted & set(answer))
    return {
        "recall": hits / sum(map(len, exact)),
        "p50_ms": median(spent),
        "p99_ms": quantiles(spent, n=100)[-1],
    }


def clustered(count: int, dimension: int) -> Matrix:
    """Unit vectors around topics, in random order; see the top."""
    rng = np.random.default_rng(SEED)
    fields = unit(rng.standard_normal((FIELDS, dimension), dtype=np.float32))
    topics = unit(rng.standard_normal((TOPICS, dimension), dtype=np.float32))
    topics = unit(topics + fields[rng.integers(0, FIELDS, TOPICS)])
    spreads = [np.linalg.qr(rng.standard_normal((dimension, INTRINSIC)))[0].T for _ in range(20)]
    shares = 1 / np.sqrt(np.arange(1, TOPICS + 1))
    sizes = rng.multinomial(count, shares / shares.sum())
    made = np.empty((count, dimension), np.float32)
    order, start = rng.permutation(count), 0
    for topic, size in enumerate(sizes):
        inner = rng.standard_normal((size, INTRINSIC), dtype=np.float32) / np.sqrt(INTRINSIC)
        outer = rng.standard_normal((size, dimension), dtype=np.float32) / np.sqrt(dimension)
        around = 0.8 * inner @ spreads[topic % len(spreads)] + 0.3 * outer
        made[order[start : start + size]] = unit((topics[topic] + around).astype(np.float32))
        start += size
    return made


def random(count: int, dimension: int) -> Matrix:
    """Unit vectors of any direction."""
    made = np.random.default_rng(SEED).standard_normal((count, dimension), dtype=np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def _measured(vectors: Matrix, queries: Matrix, folder: Path) -> dict[str, Any]:
    shard = MemoryShard(
        folder,
        EmbedderId("made up", vectors.shape[1]),
        read_rules(_RULES),
        bounds=Bounds(records=len(vectors)),
        durability=Durability(fsync=Fsync.NEVER),
    )
    spent = []
    for batch in _batches(vectors):
        began = time.perf_counter()
        shard.put(batch)
        spent.append(time.perf_counter() - began)

    def search(query: Query) -> list[str]:
        return [hit.record.id for hit in shard.search(query)]

    one = slice(7, None, SUBJECTS)
    found = {
        "all": searched(search, queries, _exact(vectors, queries, slice(None)), Filter()),
        "one_subject": searched(search, queries, _exact(vectors, queries, one), Filter(("s7",))),
        "bare_ms": median(_bare_ms(vectors, query) for query in queries[:BARE_QUERIES]),
        "slowest_write_s": max(spent),
        "write_us": sum(spent) / len(vectors) * 1e6,
        "bytes_per_record": shard.stats().memory_bytes / len(vectors),
    }
    shard.close()
    return found


def _batches(vectors: Matrix) -> Iterator[list[Record]]:
    said = texts(np.random.default_rng(SEED), TEXTS)
    for start in range(0, len(vectors), BATCH):
        numbers = range(start, min(len(vectors), start + BATCH))
        yield [
            Record(
                id=f"r{number}",
                tenant="t",
                subject=f"s{number % SUBJECTS}",
                text=f"{said[number % TEXTS]} {number}",
                purpose="knowledge",
                created=1_700_000_000.0 + number,
                layer=Layer.LONG,
                embedding=vectors[number].tobytes(),
                source="user:anna",
            )
            for number in numbers
        ]


def _exact(vectors: Matrix, queries: Matrix, some: slice) -> list[set[str]]:
    """Ids of the `TOP` best of some records for each question."""
    numbers = np.arange(len(vectors))[some]
    rows = faiss.knn(queries, np.ascontiguousarray(vectors[some]), TOP, metric=faiss.METRIC_INNER_PRODUCT)
    return [{f"r{numbers[row]}" for row in found} for found in rows[1]]


def _bare_ms(vectors: Matrix, query: Matrix) -> float:
    began = time.perf_counter()
    faiss.knn(query[np.newaxis], vectors, TOP, metric=faiss.METRIC_INNER_PRODUCT)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    import json

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps(measure(), indent=1))
