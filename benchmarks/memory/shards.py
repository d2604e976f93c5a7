"""Two shards as Ray actors beside one flat index over all records: the same answers, at which price.

Runs in a process of its own, because a process has one Ray, on all cores; FAISS has as many threads there
as it likes.
"""

import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from benchmarks.memory.store import texts, unit
from benchmarks.own_ray import own_ray
from benchmarks.readme import ROOT

SHARDS = 2
SUBJECTS = 400
DIMENSION = 384
TOP = 10
QUERIES = 200
BATCH = 250
_ENDS_WITHIN_S = 900
_AT_ONCE = 4

Matrix = npt.NDArray[np.float32]


def measure(records: int = 100_000, queries: int = QUERIES) -> dict[str, Any]:
    """Figures of a process with a Ray cluster of its own.

    Returns:
        `p50_ms` and `p99_ms` of `sharded`, `hybrid` and `faiss` (`IndexFlatIP.search` over the same),
        the same queries in turn; `of_faiss` (the p50 of the first by the last); `recall` of the ten best
        against that index; `ingest` (records a second, each durable); and the records of each of the
        `shards`.
    """
    unbound = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory.shards", str(records), str(queries)],
        env={**unbound, **own_ray()},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=_ENDS_WITHIN_S,
        check=True,
        preexec_fn=_all_cores,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _all_cores() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))


async def _measured(records: int, queries: int, state_dir: Path) -> dict[str, Any]:
    import ray

    from actors.memory import MemoryDirector
    from actors.memory_client import memory_client
    from actors.names import MEMORY, NAMESPACE
    from zoran_ray.memory.record import Layer, Record
    from zoran_ray.memory.rules import rules_of
    from zoran_ray.memory.search import Query
    from zoran_ray.settings import MemorySettings

    settings = MemorySettings(shards=SHARDS, embedder="local/made-up", dimension=DIMENSION)
    options = {"name": MEMORY, "namespace": NAMESPACE, "num_cpus": 0, "max_concurrency": 100}
    # Held: an actor lives as long as somebody has a handle to it.
    director = ray.remote(MemoryDirector).options(**options).remote(state_dir, settings, rules_of(None))
    memory = memory_client()
    rng = np.random.default_rng(11)
    vectors = unit(rng.standard_normal((records, DIMENSION), dtype=np.float32))
    said = texts(rng, records + queries)
    now = time.time()

    def batch(subject: int, numbers: range) -> list[Record]:
        return [
            Record(
                f"r{number}",
                "t",
                f"s{subject}",
                said[number],
                "knowledge",
                now,
                Layer.LONG,
                vectors[number].tobytes(),
                source="operator:bench",
            )
            for number in numbers
        ]

    async def write(subjects: range) -> None:
        for subject in subjects:
            mine = range(subject, records, SUBJECTS)
            for start in range(0, len(mine), BATCH):
                await memory.put(batch(subject, mine[start : start + BATCH]))

    await memory.stats()
    began = time.perf_counter()
    await asyncio.gather(*(write(range(first, SUBJECTS, _AT_ONCE)) for first in range(_AT_ONCE)))
    ingest = records / (time.perf_counter() - began)
    flat = faiss.IndexFlatIP(DIMENSION)
    flat.add(vectors)
    asked = unit(rng.standard_normal((queries, DIMENSION), dtype=np.float32))
    spent: dict[str, list[float]] = {"sharded": [], "hybrid": [], "faiss": []}
    hits = 0
    await memory.search(Query("t", said[records], asked[0].tobytes(), limit=TOP))  # words are read now
    gc.collect()
    for number, vector in enumerate(asked):
        meant = Query("t", embedding=vector.tobytes(), limit=TOP)
        both = Query("t", " ".join(said[records + number].split()[:4]), vector.tobytes(), limit=TOP)
        took, found = await _ms(lambda meant=meant: memory.search(meant))  # type: ignore[misc]
        spent["sharded"].append(took)
        took, _ = await _ms(lambda both=both: memory.search(both))  # type: ignore[misc]
        spent["hybrid"].append(took)
        began = time.perf_counter()
        exact = flat.search(vector[np.newaxis], TOP)[1][0]
        spent["faiss"].append(1000 * (time.perf_counter() - began))
        hits += len({f"r{row}" for row in exact} & {hit.record.id for hit in found})
    rows = await memory.stats()
    del director
    return {
        "shards": [row.stats.records for row in rows if row.stats],
        "dimension": DIMENSION,
        "ingest": ingest,
        "p50_ms": {name: median(each) for name, each in spent.items()},
        "p99_ms": {name: float(np.percentile(each, 99)) for name, each in spent.items()},
        "of_faiss": median(spent["sharded"]) / median(spent["faiss"]),
        "recall": hits / (TOP * queries),
    }


async def _ms(work: Callable[[], Awaitable[Any]]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = await work()
    return 1000 * (time.perf_counter() - began), found


def main() -> None:
    import ray

    records, queries = map(int, sys.argv[1:3])
    with tempfile.TemporaryDirectory() as scratch:
        ray.init(
            num_cpus=2,
            namespace="zoran",
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=128 * 1024**2,
        )
        try:
            print(json.dumps(asyncio.run(_measured(records, queries, Path(scratch)))))
        finally:
            ray.shutdown()


if __name__ == "__main__":
    main()
