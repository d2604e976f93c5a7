"""What a sandbox job costs besides its program: container made, started, files in, files out, ended."""

import statistics
from typing import Any

from benchmarks.sandbox.__main__ import overhead_s
from zoran_ray.sandbox import Backend

ROUNDS = 60
_WARM = 3


def measure(backend: Backend, rounds: int = ROUNDS) -> dict[str, Any]:
    """Seconds, one job at a time: median and 95th centile with the range of the centiles of five parts."""
    overhead_s(backend, _WARM)
    less, whole = overhead_s(backend, max(rounds, 10))
    size = len(less) // 5
    parts = [sorted(less[start : start + size]) for start in range(0, size * 5, size)]
    return {
        "rounds": len(less),
        "p50_s": round(statistics.median(less), 3),
        "p50_range_s": _range(statistics.median(part) for part in parts),
        "p95_s": round(statistics.quantiles(less, n=20)[-1], 3),
        "p95_range_s": _range(part[min(len(part) - 1, round(0.95 * len(part)))] for part in parts),
        "whole_p50_s": round(statistics.median(whole), 3),
    }


def _range(values: Any) -> list[float]:
    found = [round(value, 3) for value in values]
    return [min(found), max(found)]
