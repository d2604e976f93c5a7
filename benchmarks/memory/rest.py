"""Records at rest: what `Z5::` saves in a snapshot, and what it costs there."""

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.memory.z5 import records_of
from zoran_ray.memory.embedder import EmbedderId
from zoran_ray.memory.record import Layer, Record, decode_body, encode_body, framed_body
from zoran_ray.memory.rules import read_rules
from zoran_ray.memory.shard import MemoryShard

_RULES = Path(__file__).parents[2] / "configs" / "memory.yaml"
_TURNS = 10
"""Each text is kept about so many subjects: a small snapshot says little of its time."""


def measure(data: Path | None = None) -> dict[str, Any]:
    """Figures of one process on one core; records without vectors, whose bytes are the same either way.

    Args:
        data: `.jsonl` or `.jsonl.gz` with a `prompt` in each line; None for made-up conversations.

    Returns:
        `records`, `text_bytes` of one; `plain_bytes` and `framed_bytes` of one without its vector;
        `framed`: share of records that have a frame; `plain_us`, `framed_us`, `read_plain_us`,
        `read_framed_us`: to make and to read these bytes;
        `compact_us` and `open_us` of a shard, a record (framed).
    """
    said = [text.decode() for text in records_of(data)]
    made = [
        Record(f"r{turn}-{number}", "t", f"s{turn}", text, "knowledge", 1.0, Layer.LONG)
        for turn in range(_TURNS)
        for number, text in enumerate(said)
        if text
    ]
    found: dict[str, Any] = {
        "records": len(made),
        "text_bytes": sum(len(record.text.encode()) for record in made) / len(made),
    }
    for name, encode in (("plain", encode_body), ("framed", framed_body)):
        encode(made[0])
        began = time.perf_counter()
        bodies = [encode(record) for record in made]
        between = time.perf_counter()
        for body in bodies:
            decode_body(body)
        found[f"{name}_us"] = (between - began) / len(made) * 1e6
        found[f"read_{name}_us"] = (time.perf_counter() - between) / len(made) * 1e6
        found[f"{name}_bytes"] = sum(map(len, bodies)) / len(made)
    found["framed"] = sum(body.startswith(b"[2,") for body in bodies) / len(made)
    return found | _in_a_shard(made)


def _in_a_shard(made: list[Record]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        embedder, rules = EmbedderId("none", 8), read_rules(_RULES)
        shard = MemoryShard(Path(scratch), embedder, rules)
        for start in range(0, len(made), 500):
            shard.put(made[start : start + 500])
        kept = shard.stats().records
        began = time.perf_counter()
        shard.compact()
        compacted = time.perf_counter() - began
        shard.close()
        began = time.perf_counter()
        MemoryShard(Path(scratch), embedder, rules).close()
        opened = time.perf_counter() - began
    return {"compact_us": compacted / kept * 1e6, "open_us": opened / kept * 1e6}
