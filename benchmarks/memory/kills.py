"""A shard whose process is killed with SIGKILL again and again, in the middle of whatever it does.

What it had acknowledged must be there then, whole; what it had forgotten must be in no answer and, after
a compaction, in no file. What it was just doing may have happened or not, but not by half. The shard is
opened again and asked as anybody would ask it. This says nothing of a loss of power.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from zoran_ray.errors import RecordNotFound
from zoran_ray.memory.embedder import HashedNgrams
from zoran_ray.memory.frames import payloads
from zoran_ray.memory.ops import Put, decode_batch
from zoran_ray.memory.record import Layer, Record, embedding_bytes
from zoran_ray.memory.rules import MemoryRules, read_rules
from zoran_ray.memory.search import Candidates, Filter, Query
from zoran_ray.memory.shard import MemoryShard

KILLS = 50
MOST_RECORDS = 600
"""From here on the child rather forgets."""
MOST_S, EARLY_S = 0.25, 0.05
"""Longest life of a child from when it is ready; from its birth, for those that may die while they open."""
EARLY = 0.2  # share of the latter

_ROOT = Path(__file__).parents[2]
_TENANT = "t"
_SUBJECTS = tuple(f"s{number}" for number in range(8))
_EMBEDDER = HashedNgrams(32)
_START_S = 60.0
_SEARCHED = 100
"""Forgotten records that are searched for after each kill, the last ones and some of the others."""


@dataclass(frozen=True, slots=True)
class Act:
    """What the child does: `put`, `forget`, `forget_subject`, `confirm` or `compact`, and to what."""

    kind: str
    ids: tuple[str, ...] = ()
    subject: str = ""


@dataclass(slots=True)
class History:
    """What was acknowledged."""

    alive: set[str] = field(default_factory=set)
    confirmed: set[str] = field(default_factory=set)
    gone: dict[str, None] = field(default_factory=dict)

    def take(self, act: Act) -> None:
        if act.kind == "put":
            self.alive.update(act.ids)
        elif act.kind == "confirm":
            self.confirmed.update(act.ids)
        elif act.kind != "compact":
            self.alive.difference_update(act.ids)
            self.gone |= dict.fromkeys(act.ids)


def measure(kills: int = KILLS, seed: int = 0) -> dict[str, Any]:
    """Kills a shard's process so many times, in a process of its own: only one without threads may fork.

    Returns:
        `kills`; `within`: those in the middle of an operation; `opening`: those before the first one;
        `torn`: those after which an unfinished write was cut; `acknowledged`: operations, by kind and in
        `all`; `lost`: acknowledged records that were gone; `half`: what was there in part;
        `resurrected`: forgotten records that were back; `reopen_ms`: median; `records`: at the end.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory.kills", str(kills), str(seed)],
        cwd=_ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60 + 10 * kills,
    )
    if done.returncode:
        raise RuntimeError(f"the kills could not be measured: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def killed_here(kills: int, seed: int, folder: Path) -> dict[str, Any]:
    """What `measure` returns; this process forks, so it may have no other thread."""
    rules = read_rules(_ROOT / "configs" / "memory.yaml")
    rng, history = random.Random(seed), History()
    counted, found, opened_ms = Counter[str](), Counter[str](), []
    for number in range(kills):
        acts = _one_life(folder, rules, rng, f"{seed}.{number}")
        pending = acts[-1] if acts else None
        for act in [act for act, after in pairwise(acts) if act is not None and after is None]:
            history.take(act)
            counted[act.kind] += 1
        found["within"] += pending is not None
        found["opening"] += not any(acts)
        began = time.perf_counter()
        shard = MemoryShard(folder, _EMBEDDER, rules)
        opened_ms.append(1000 * (time.perf_counter() - began))
        found["torn"] += shard.stats().cut_bytes > 0
        found += _settled(shard, history, pending)
        found += _judged(shard, history, rng)
        if number % 3 == 0:
            shard.compact()
            found += _on_disk(folder, history)
        shard.close()
    return {
        "kills": kills,
        **{name: found[name] for name in ("within", "opening", "torn", "lost", "half", "resurrected")},
        "acknowledged": {"all": counted.total(), **counted},
        "reopen_ms": median(opened_ms),
        "records": len(history.alive),
    }


# -- the process that is killed ---------------------------------------------------------------


def _one_life(folder: Path, rules: MemoryRules, rng: random.Random, name: str) -> list[Act | None]:
    """What a child said: an act when it began one, None when it was done."""
    ours, theirs = Pipe(duplex=False)
    child = os.fork()
    if not child:
        try:
            ours.close()
            _work(folder, rules, name, theirs)
        finally:
            os._exit(1)
    theirs.close()
    try:
        acts = _heard_until(ours, rng)
    finally:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError("the child ended by itself")
    # What it wrote into the pipe outlives it.
    with suppress(EOFError, OSError):
        while True:
            acts.append(ours.recv())
    ours.close()
    return acts


def _heard_until(ours: Connection, rng: random.Random) -> list[Act | None]:
    """What the child says until the moment at which it is to die."""
    acts: list[Act | None] = []
    early = rng.random() < EARLY
    if not early and not ours.poll(_START_S):
        raise RuntimeError("the child does not begin")
    dies_at = time.monotonic() + rng.uniform(0, EARLY_S if early else MOST_S)
    while (left := dies_at - time.monotonic()) > 0:
        if ours.poll(left):
            acts.append(ours.recv())
    return acts


def _work(folder: Path, rules: MemoryRules, name: str, told: Connection) -> None:
    """Says None when it is ready; then one act after the other: which it is about to do, None once done."""
    shard = MemoryShard(folder, _EMBEDDER, rules)
    alive = dict.fromkeys(sorted(_present(shard)))
    rng, number = random.Random(name), 0
    told.send(None)
    while True:
        number += 1
        act = _chosen(rng, alive, f"{name}.{number}")
        told.send(act)
        _do(shard, act)
        told.send(None)
        if act.kind == "put":
            alive |= dict.fromkeys(act.ids)
        elif act.kind != "confirm":
            for record_id in act.ids:
                del alive[record_id]


def _chosen(rng: random.Random, alive: Iterable[str], name: str) -> Act:
    known = list(alive)
    weights = (6, 3, 0.3 if len(known) < MOST_RECORDS else 6, 2, 0.5)
    (kind,) = rng.choices(("put", "forget", "forget_subject", "confirm", "compact"), weights)
    latent = [record_id for record_id in known if _begins(record_id) is Layer.LATENT]
    if kind == "compact":
        return Act(kind)
    if kind == "forget" and known:
        return Act(kind, tuple(rng.sample(known, min(len(known), rng.randint(1, 5)))))
    if kind == "forget_subject" and known:
        subject = rng.choice(_SUBJECTS)
        return Act(kind, tuple(i for i in known if _subject(i) == subject), subject)
    if kind == "confirm" and latent:
        return Act(kind, (rng.choice(latent),))
    return Act("put", tuple(f"{name}.{n}" for n in range(rng.randint(1, 20))))


def _do(shard: MemoryShard, act: Act) -> None:
    if act.kind == "put":
        shard.put([_record(record_id) for record_id in act.ids])
    elif act.kind == "forget":
        shard.forget(_TENANT, act.ids)
    elif act.kind == "forget_subject":
        shard.forget_subject(_TENANT, act.subject)
    elif act.kind == "confirm":
        shard.confirm(_TENANT, act.ids[0])
    else:
        shard.compact()


# -- records that follow from their ids -------------------------------------------------------


def _mark(record_id: str) -> str:
    """32 hexadecimal digits that are in this record's text alone."""
    return hashlib.sha256(record_id.encode()).hexdigest()[:32]


def _text(record_id: str) -> str:
    return f"{_mark(record_id)} is what is to be known of {record_id}. " * 3


def _subject(record_id: str) -> str:
    return _SUBJECTS[int(_mark(record_id), 16) % len(_SUBJECTS)]


def _vector(record_id: str) -> bytes:
    rng = np.random.default_rng(int(_mark(record_id), 16))
    numbers = rng.standard_normal(_EMBEDDER.dimension)
    return embedding_bytes(numbers / np.linalg.norm(numbers))


def _begins(record_id: str) -> Layer:
    return Layer.LONG if int(_mark(record_id)[-1], 16) % 2 else Layer.LATENT


def _record(record_id: str) -> Record:
    return Record(
        id=record_id,
        tenant=_TENANT,
        subject=_subject(record_id),
        text=_text(record_id),
        purpose="knowledge",
        created=time.time(),
        layer=Layer.LONG,
        embedding=_vector(record_id),
        source="user:anna" if _begins(record_id) is Layer.LONG else "model:drafter",
    )


# -- what is found then -----------------------------------------------------------------------


def _present(shard: MemoryShard) -> set[str]:
    return {each["id"] for subject in _SUBJECTS for each in shard.export(_TENANT, subject)["records"]}


def _settled(shard: MemoryShard, history: History, pending: Act | None) -> Counter[str]:
    """Take over the act that nobody acknowledged, if it has happened; by half it must not."""
    if pending is None or not pending.ids:
        return Counter()
    there = _present(shard) & set(pending.ids)
    if pending.kind == "confirm":
        done = [shard.get(_TENANT, record_id).confirmed for record_id in pending.ids]
    else:
        done = [(record_id in there) == (pending.kind == "put") for record_id in pending.ids]
    if all(done):
        history.take(pending)
    return Counter(half=any(done) and not all(done))


def _judged(shard: MemoryShard, history: History, rng: random.Random) -> Counter[str]:
    there = _present(shard)
    found = Counter(
        lost=len(history.alive - there),
        resurrected=len(there & history.gone.keys()),
        half=len(there - history.alive - history.gone.keys()),
    )
    found["half"] += sum(not _whole(shard, record_id, history) for record_id in history.alive & there)
    gone = list(history.gone)
    asked = {*gone[-_SEARCHED:], *rng.sample(gone, min(len(gone), _SEARCHED))}
    found["resurrected"] += sum(_answers(shard, record_id) for record_id in asked)
    return found


def _whole(shard: MemoryShard, record_id: str, history: History) -> bool:
    """Whether text, place and vector are those that were written."""
    record = shard.get(_TENANT, record_id)
    confirmed = record_id in history.confirmed
    layer = Layer.LONG if confirmed else _begins(record_id)
    best = _searched(shard, record_id).dense[0]
    return (
        (record.text, record.subject) == (_text(record_id), _subject(record_id))
        and (record.layer, record.confirmed) == (layer, confirmed)
        and best.id == record_id
        and best.score > 1 - 1e-5
    )


def _answers(shard: MemoryShard, record_id: str) -> bool:
    """Whether a record answers to its id, its words or its vector."""
    with suppress(RecordNotFound):
        shard.get(_TENANT, record_id)
        return True
    found = _searched(shard, record_id)
    return record_id in {ranked.id for ranked in (*found.dense, *found.lexical)}


def _searched(shard: MemoryShard, record_id: str) -> Candidates:
    everywhere = Filter(layers=frozenset(Layer))
    return shard.candidates(Query(_TENANT, _mark(record_id), _vector(record_id), 1, everywhere))


def _on_disk(folder: Path, history: History) -> Counter[str]:
    """Forgotten records that files still hold, their bytes or what is read of them."""
    files = [path for path in folder.iterdir() if path.name.startswith(("snapshot-", "log-"))]
    raw = b"".join(path.read_bytes() for path in files)
    read = {record_id for path in files for record_id in _puts(path)}
    if not history.alive <= read or not all(_vector(record_id) in raw for record_id in history.alive):
        raise RuntimeError("the files are not read rightly: what must be in them is not seen")
    back = [i for i in history.gone if i in read or _vector(i) in raw or _mark(i).encode() in raw]
    return Counter(resurrected=len(back))


def _puts(path: Path) -> Iterable[str]:
    found = list(payloads(path))
    if path.name.startswith("snapshot-"):
        found = found[1:-1]  # its head and its end
    for payload in found:
        yield from (op.record.id for op in decode_batch(payload).ops if isinstance(op, Put))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(killed_here(int(sys.argv[1]), int(sys.argv[2]), Path(scratch) / "shard")))
