"""One shard of the memory beside what it stands on: SQLite for durable writes, bare FAISS for search."""

import gc
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from zoran_ray.memory.embedder import EmbedderId
from zoran_ray.memory.record import Layer, Record, encode
from zoran_ray.memory.rules import read_rules
from zoran_ray.memory.search import Query
from zoran_ray.memory.shard import MemoryShard
from zoran_ray.memory.wal import WriteAheadLog

BATCH = 500
"""Records of one write, which is one transaction in SQLite and one frame in the log."""
TEXT_CHARS = 200
WORDS = 20_000
"""Different words in all texts; how often each comes follows Zipf's law."""
QUERIES = 100
TOP = 10

_RULES = Path(__file__).parents[2] / "configs" / "memory.yaml"

Matrix = npt.NDArray[np.float32]


def measure(
    records: int = 20_000, dimension: int = 384, rounds: int = 5, folder: Path | None = None
) -> dict[str, Any]:
    """Figures of one process, on the disk of the temporary folder.

    Args:
        records: How many in all.
        dimension: Numbers in an embedding.
        rounds: Each contender writes an equal part of the records in each; they take turns.
        folder: Where to put everything instead.

    Returns:
        `ingest`: records a second (medians over the rounds; every batch is on the disk before the next) of
        `shard` (`MemoryShard.put`), of `wal` (the log alone) and of `sqlite` (one row with the same bytes a
        record; WAL mode, `synchronous=FULL`, its usual checkpoints), `of_sqlite` (the first by the last,
        median of the rounds' own ratios), `indexed` (records a second of the shard over all rounds and the
        first word search after them, which indexes what is left) and `rounds` (the rates of each). Records
        are made before, their bytes for `wal` and `sqlite` too. `search`: milliseconds a query (medians,
        one at a time) of `dense`, `hybrid` and `faiss` (`IndexFlatIP.search` over the same vectors),
        `of_faiss`, `recall` of the ten best. `bytes_per_record`: in `memory` by the shard's own count, in
        its `log`, and of `embedding` and `text` alone.
    """
    rng = np.random.default_rng(7)
    vectors = unit(rng.standard_normal((records, dimension), dtype=np.float32))
    said = texts(rng, records + QUERIES)
    made = [_record(number, said[number], vectors[number]) for number in range(records)]
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        rules = read_rules(_RULES)
        shard = MemoryShard(Path(scratch) / "shard", EmbedderId("random", dimension), rules)
        ingest = _ingest(Path(scratch), shard, made, rounds)
        stats = shard.stats()
        queries = unit(rng.standard_normal((QUERIES, dimension), dtype=np.float32))
        search = _search(shard, vectors, queries, said[records:])
        shard.close()
    return {
        "records": records,
        "dimension": dimension,
        "batch": BATCH,
        "ingest": ingest,
        "search": search,
        "bytes_per_record": {
            "memory": stats.memory_bytes / records,
            "log": stats.log_bytes / records,
            "embedding": 4 * dimension,
            "text": sum(len(text) for text in said[:records]) / records,
        },
    }


def _ingest(scratch: Path, shard: MemoryShard, made: list[Record], rounds: int) -> dict[str, Any]:
    log = WriteAheadLog.create(scratch / "bare.log")
    with closing(sqlite3.connect(scratch / "bare.db", isolation_level=None)) as base:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = FULL")
        base.execute("CREATE TABLE records (data BLOB NOT NULL)")
        contenders: dict[str, Callable[[list[Record]], float]] = {
            "shard": lambda part: _timed(shard.put, _batches(part)),
            "wal": lambda part: _timed(
                lambda rows: log.append([b"".join(rows)]), _batches([encode(record) for record in part])
            ),
            "sqlite": lambda part: _timed(
                lambda rows: _insert(base, rows), _batches([encode(record) for record in part])
            ),
        }
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        for number in range(rounds):
            part = made[number * len(made) // rounds : (number + 1) * len(made) // rounds]
            names = list(contenders)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                gc.collect()
                rates[name].append(len(part) / contenders[name](part))
    log.close()
    spent_s = sum(len(made) / rounds / rate for rate in rates["shard"])
    spent_s += _ms(lambda: shard.search(Query("t", "word", limit=TOP))) / 1000
    ratios = [ours / theirs for ours, theirs in zip(rates["shard"], rates["sqlite"], strict=True)]
    return {
        **{name: median(each) for name, each in rates.items()},
        "of_sqlite": median(ratios),
        "indexed": len(made) / spent_s,
        "rounds": rates,
    }


def _insert(base: sqlite3.Connection, rows: Sequence[bytes]) -> None:
    base.execute("BEGIN")
    base.executemany("INSERT INTO records (data) VALUES (?)", [(row,) for row in rows])
    base.execute("COMMIT")


def _search(shard: MemoryShard, vectors: Matrix, queries: Matrix, texts: Sequence[str]) -> dict[str, float]:
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    words = [" ".join(text.split()[:4]) for text in texts]
    spent: dict[str, list[float]] = {"dense": [], "hybrid": [], "faiss": []}
    found = 0
    for number, query in enumerate(queries):
        meant = Query("t", embedding=query.tobytes(), limit=TOP)
        both = Query("t", words[number], query.tobytes(), limit=TOP)
        spent["dense"].append(_ms(lambda meant=meant: shard.search(meant)))  # type: ignore[misc]
        spent["hybrid"].append(_ms(lambda both=both: shard.search(both)))  # type: ignore[misc]
        spent["faiss"].append(_ms(lambda query=query: flat.search(query[np.newaxis], TOP)))  # type: ignore[misc]
        exact = {f"r{row}" for row in flat.search(query[np.newaxis], TOP)[1][0]}
        found += len(exact & {hit.record.id for hit in shard.search(meant)})
    p50 = {name: median(each) for name, each in spent.items()}
    return {
        **{f"{name}_ms": each for name, each in p50.items()},
        "of_faiss": p50["dense"] / p50["faiss"],
        "recall": found / (TOP * len(queries)),
    }


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return iter([items[start : start + BATCH] for start in range(0, len(items), BATCH)])


def _timed(append: Callable[[Sequence[Any]], object], batches: Iterator[Sequence[Any]]) -> float:
    began = time.perf_counter()
    for batch in batches:
        append(batch)
    return time.perf_counter() - began


def _ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def unit(vectors: Matrix) -> Matrix:
    """The same directions with length 1."""
    made: Matrix = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return made


def texts(rng: np.random.Generator, count: int) -> list[str]:
    """Texts of about `TEXT_CHARS` characters of made-up words."""
    syllables = [a + b for a in "bdfgklmnprstv" for b in "aeiou"]
    lengths = rng.integers(1, 5, WORDS)
    words = ["".join(rng.choice(syllables, length)) for length in lengths]
    shares = 1 / np.arange(1, WORDS + 1)
    drawn = rng.choice(WORDS, (count, TEXT_CHARS // 5), p=shares / shares.sum())
    parts = [[" ".join(words[word] for word in part) for part in row.reshape(4, -1)] for row in drawn]
    return [", ".join(part)[:TEXT_CHARS] + "." for part in parts]


def _record(number: int, text: str, vector: Matrix) -> Record:
    return Record(
        id=f"r{number}",
        tenant="t",
        subject=f"s{number % 100}",
        text=text,
        purpose="knowledge",
        created=1_700_000_000.0 + number,
        layer=Layer.LONG,
        embedding=vector.tobytes(),
        source="user:anna",
    )


if __name__ == "__main__":
    import json

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps(measure(), indent=1))
