"""The journal: how fast it takes entries, how long a proof takes, and how long a whole file to verify."""

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from zoran_ray.journal import (
    Entry,
    Journal,
    Kind,
    SigningKey,
    inclusion_holds,
    leaf_hash,
    open_journal,
    verify_file,
)

BATCH = 1000
SIZES = (1_000, 10_000, 100_000, 1_000_000)
_PROOFS = 500
_SINGLE = 200


def measure(most: int = SIZES[-1], folder: Path | None = None) -> dict[str, Any]:
    """Figures of one process on one core, on the disk of the temporary folder.

    Args:
        most: Entries of the largest journal.
        folder: Where to put it instead.

    Returns:
        `append`: entries a second in batches of 1,000, each with its `fsync`, entries made and checked
        included, over the whole largest journal. `append_single`: the same one by one. `proofs`: for each
        size of journal, microseconds to make and to check an inclusion and to make a consistency proof
        (medians), and hashes in it. `verify_s`, `open_s`: seconds for the largest. `bytes_per_entry`: of
        its file.
    """
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path, key = Path(scratch) / "journal.log", SigningKey.new()
        journal, spent_s, proofs = open_journal(path, key), 0.0, []
        for size in (*(size for size in SIZES if size < most), most):
            spent_s += _filled(journal, size)
            proofs.append(_proofs(journal))
        file_bytes = path.stat().st_size
        journal.close()
        verify_s = _timed(lambda: _verified(path, key, most))
        open_s = _timed(lambda: open_journal(path, key).close())
        return {
            "cpus_used": 1,
            "append": {"entries": most, "batch": BATCH, "per_s": most / spent_s},
            "append_single": _single(Path(scratch) / "single.log", key),
            "proofs": proofs,
            "verify_s": verify_s,
            "open_s": open_s,
            "bytes_per_entry": file_bytes / most,
        }


def _entry(number: int) -> Entry:
    meta: dict[str, str | int | bool | None] = {
        "request": f"req-{number:x}",
        "arm": "local/qwen",
        "tokens_out": number % 977,
        "usd_nano": 1200,
    }
    return Entry(Kind.ROUTING_DECISION, 1_700_000_000_000 + number, meta)


def _filled(journal: Journal, size: int) -> float:
    """Seconds to bring the journal to this size."""
    began = time.perf_counter()
    while journal.size < size:
        first = journal.size
        journal.append([_entry(number) for number in range(first, min(first + BATCH, size))])
    return time.perf_counter() - began


def _single(path: Path, key: SigningKey) -> dict[str, float]:
    journal = open_journal(path, key)
    durable_s = _timed(lambda: [journal.append([_entry(number)]) for number in range(_SINGLE)])
    cached_s = _timed(lambda: [journal.append([_entry(n)], durable=False) for n in range(_SINGLE)])
    journal.close()
    return {"durable_per_s": _SINGLE / durable_s, "not_durable_per_s": _SINGLE / cached_s}


def _proofs(journal: Journal) -> dict[str, float]:
    size, head = journal.size, journal.head()
    made, checked, consistent, hashes = [], [], [], 0
    for number in range(_PROOFS):
        index = number * 7919 % size
        began = time.perf_counter()
        data, path, _ = journal.inclusion(index)
        made.append(time.perf_counter() - began)
        leaf = leaf_hash(data)
        checked.append(_timed(partial(_held, leaf, index, size, path, head.root)))
        consistent.append(_timed(partial(journal.consistency, index)))
        hashes = max(hashes, len(path))
    return {
        "entries": size,
        "inclusion_us": median(made) * 1e6,
        "check_us": median(checked) * 1e6,
        "consistency_us": median(consistent) * 1e6,
        "hashes": hashes,
    }


def _held(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> None:
    if not inclusion_holds(leaf, index, size, path, root):
        raise RuntimeError(f"the proof of entry {index} of {size} does not hold")


def _verified(path: Path, key: SigningKey, size: int) -> None:
    verdict = verify_file(path, key=key.verifier)
    if not verdict.is_good or verdict.entries != size:
        raise RuntimeError(f"the journal does not verify: {verdict.why}")


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    import json

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps(measure(), indent=1))
