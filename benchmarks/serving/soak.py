"""Part 3, the soak: steady load on the gateway while its memory, open files and maps are watched.

Every request is a conversation of its own, so a map that keeps something per conversation or per request
and never forgets shows. Readings are taken between loads, when nothing runs.
"""

import re
import time
import urllib.request
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.serving.bench import TOKENS, Bench, chat_body, run_load
from benchmarks.serving.contender import Endpoint
from benchmarks.serving.processes import usage
from benchmarks.serving.stats import slope

CONNECTIONS = 32
_LOAD_S = 10.0
# What a map holds, and what is under way: both must come back to where they were.
_GAUGE = re.compile(
    r"^(zoran_\w+_entries|zoran_requests_inflight|zoran_queue_waiting)(\{[^}]*\})? ([0-9.e+]+)$", re.M
)
FLAT_SHARE = 0.02
"""RSS may grow by this share of itself over the second half."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The gateway between two loads: seconds since the start, requests so far, bytes, files, map sizes."""

    at_s: float
    requests: int
    rss_bytes: int
    files: int
    maps: dict[str, float]


def soak(bench: Bench, endpoint: Endpoint, minutes: float) -> dict[str, Any]:
    """Load for `minutes`, streams and plain requests in turn; readings and what they come to."""
    began, requests, errors = time.monotonic(), 0, 0
    readings: list[Reading] = []
    while (at_s := time.monotonic() - began) < minutes * 60 or len(readings) < 4:
        figures = run_load(_job(endpoint, stream=len(readings) % 2 == 0), 10 * _LOAD_S)
        requests += int(figures["requests"])
        errors += int(figures["errors"])
        groups = endpoint.groups()
        uses = usage(pid for label in ("gateway", "haproxy") for pid in groups.get(label, ()))
        rss, files = sum(use.rss_bytes for use in uses), sum(use.files for use in uses)
        readings.append(Reading(at_s, requests, rss, files, _maps(endpoint)))
        bench.say(f"soak {at_s / 60:.1f} min: {requests} requests, {rss / 2**20:.1f} MiB, {files} files")
    return {
        "minutes": (time.monotonic() - began) / 60,
        "requests": requests,
        "errors": errors,
        **verdict(readings),
        "readings": [asdict(reading) for reading in readings],
    }


def verdict(readings: list[Reading]) -> dict[str, Any]:
    """Growth over the second half: RSS as a share (of a fitted line), files and map entries as counts."""
    half = readings[len(readings) // 2 :]
    span_s = half[-1].at_s - half[0].at_s
    rss = slope([(r.at_s, r.rss_bytes) for r in half]) * span_s / half[0].rss_bytes
    files = half[-1].files - half[0].files
    maps = sum(half[-1].maps.values()) - sum(half[0].maps.values())
    flat = rss <= FLAT_SHARE and files <= 2 and maps <= 2
    return {"rss_growth": rss, "files_growth": files, "maps_growth": maps, "flat": flat}


def _job(endpoint: Endpoint, *, stream: bool) -> dict[str, Any]:
    return {
        "url": endpoint.chat,
        "headers": dict(endpoint.headers),
        "body": chat_body(endpoint.model, stream=stream),
        "concurrency": CONNECTIONS,
        "seconds": _LOAD_S,
        "warmup_s": 0.0,
        "expect_tokens": TOKENS,
    }


def _maps(endpoint: Endpoint) -> dict[str, float]:
    """Sizes of the gateway's maps by its own metrics; empty where it publishes none."""
    request = urllib.request.Request(f"{endpoint.base_url}/metrics", headers=dict(endpoint.headers))
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    return {name + labels: float(value) for name, labels, value in _GAUGE.findall(text)}
