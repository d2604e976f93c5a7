"""`Z5::` against gzip, zlib and zstd: how small, and how fast.

The others give bytes. `ratio_as_text` counts them as base64, which is what they need where a `Z5::` frame
is used: in JSON, in a message, in a text column.
"""

import base64
import gzip
import json
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import zstandard

from zoran_ray.memory.z5 import LEVEL, SHORT_BYTES, SHORT_LEVEL, Z5, codec
from zoran_ray.memory.z5_samples import conversations

KIND = "conversation"
SHORT = 512
"""Bytes of a short record, at most."""
PIECE = 64 * 1024
"""Bytes of a long prompt."""
EDGES = (0, 64, 96, 128, 160, 192, 256, 384, SHORT, 1024, 1 << 30)
OTHER_SEED = 7

T = TypeVar("T")


@dataclass(frozen=True)
class _Contender:
    encode: Callable[[bytes], bytes]
    decode: Callable[[bytes], bytes]
    is_text: bool = False


def measure(data: Path | None = None, rounds: int = 5) -> dict[str, Any]:
    """Figures of one process on one core.

    Args:
        data: `.jsonl` or `.jsonl.gz` with a `prompt` in each line; None for made-up conversations, not
            those the dictionary was trained on, but from the same generator: that flatters the dictionary.
        rounds: Each contender's speed is the median of so many; they take turns.

    Returns:
        `data`: where records come from. `groups`: for short records one by one and for long prompts,
        `records`, `bytes`, and of each contender `ratio` (plain to compressed bytes; absent where there is
        only text), `ratio_as_text`, `smaller` (share of records that are shorter as text than plain),
        `encode_mb_s`, `decode_mb_s` (10^6 plain bytes a second), `encode_us`, `decode_us` (microseconds a
        record). `by_length`: `ratio_as_text` and `smaller`
        of frames with the dictionary, of records `from` a number of bytes `to` below another.
    """
    records = [each for each in records_of(data) if each]
    short = [each for each in records if len(each) <= SHORT]
    joined = b"\n\n".join(records)
    long = [joined[at : at + PIECE] for at in range(0, len(joined), PIECE)]
    groups = {
        f"short records, up to {SHORT} bytes": _group(short, rounds),
        f"long prompts, {PIECE // 1024} KiB each": _group(long, rounds),
    }
    frames = codec()
    return {
        "data": data.name if data else f"made-up conversations, seed {OTHER_SEED}",
        "cpus_used": 1,
        "levels": {"long": LEVEL, "short": SHORT_LEVEL, "short_bytes": SHORT_BYTES},
        "groups": groups,
        "by_length": [_bucket(frames, records, *edges) for edges in pairwise(EDGES)],
    }


def records_of(data: Path | None) -> list[bytes]:
    """Texts of a file, or made-up ones where there is none."""
    if data is None:
        return list(conversations(2000, seed=OTHER_SEED))
    opened = gzip.open if data.suffix == ".gz" else open
    with opened(data, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["prompt"].encode() for line in lines if line.strip()]


def _contenders() -> dict[str, _Contender]:
    frames = codec()
    return {
        "gzip -9": _Contender(lambda b: gzip.compress(b, 9, mtime=0), gzip.decompress),
        "zlib -9": _Contender(lambda b: zlib.compress(b, 9), zlib.decompress),
        f"zstd -{LEVEL}": _zstd(LEVEL),
        f"zstd -{SHORT_LEVEL}": _zstd(SHORT_LEVEL),
        "Z5 version 1": _Contender(
            lambda b: b"Z5::" + base64.b64encode(zlib.compress(b, 9)), _decoder(frames), is_text=True
        ),
        "Z5": _Contender(lambda b: frames.encode(b).encode(), _decoder(frames), is_text=True),
        "Z5, dictionary": _Contender(
            lambda b: frames.encode(b, KIND).encode(), _decoder(frames), is_text=True
        ),
    }


def _decoder(frames: Z5) -> Callable[[bytes], bytes]:
    return lambda frame: frames.decode(frame.decode())


def _zstd(level: int) -> _Contender:
    return _Contender(
        zstandard.ZstdCompressor(level=level).compress, zstandard.ZstdDecompressor().decompress
    )


def _group(records: Sequence[bytes], rounds: int) -> dict[str, Any]:
    contenders = _contenders()
    stored = {name: [each.encode(r) for r in records] for name, each in contenders.items()}
    for name, each in contenders.items():
        if [each.decode(made) for made in stored[name]] != list(records):
            raise AssertionError(f"{name} does not give back what it was given")
    encode_s: dict[str, list[float]] = {name: [] for name in contenders}
    decode_s: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, each in contenders.items():
            encode_s[name].append(_timed(each.encode, records))
            decode_s[name].append(_timed(each.decode, stored[name]))
    plain = sum(map(len, records))
    return {
        "records": len(records),
        "bytes": plain,
        "contenders": {
            name: _sizes(records, stored[name], each.is_text)
            | _speed("encode", median(encode_s[name]), plain, len(records))
            | _speed("decode", median(decode_s[name]), plain, len(records))
            for name, each in contenders.items()
        },
    }


def _speed(what: str, spent_s: float, plain: int, records: int) -> dict[str, float]:
    return {f"{what}_mb_s": plain / spent_s / 1e6, f"{what}_us": spent_s / records * 1e6}


def _sizes(records: Sequence[bytes], stored: Sequence[bytes], is_text: bool) -> dict[str, float]:
    plain, size = sum(map(len, records)), sum(map(len, stored))
    texts = [len(made) if is_text else -(-len(made) // 3) * 4 for made in stored]
    smaller = sum(text < len(record) for text, record in zip(texts, records, strict=True))
    sizes = {"ratio_as_text": plain / sum(texts), "smaller": smaller / len(records)}
    return sizes if is_text else {"ratio": plain / size} | sizes


def _bucket(frames: Z5, records: Sequence[bytes], least: int, below: int) -> dict[str, Any]:
    chosen = [each for each in records if least <= len(each) < below]
    found: dict[str, Any] = {"from": least, "to": below if below < EDGES[-1] else None}
    if not chosen:
        return found | {"records": 0}
    made = [frames.encode(each, KIND).encode() for each in chosen]
    return found | {"records": len(chosen)} | _sizes(chosen, made, is_text=True)


def _timed(work: Callable[[T], object], items: Sequence[T]) -> float:
    began = time.perf_counter()
    for item in items:
        work(item)
    return time.perf_counter() - began
