"""One, two and four gateways before the same back end that does nothing: what each adds.

All three servers run at once and are asked in turn; the other two are idle, and what they use meanwhile is
counted apart. Two layouts: every gateway on the first cores and all else on the last one (`apart`), so that
a gateway never waits for whoever asks it; and everybody where the kernel likes (`free`).
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

from benchmarks.serving.bench import chat_body, run_load
from benchmarks.serving.contender import Endpoint, Workplace
from benchmarks.serving.processes import pinned
from benchmarks.serving.stack import noop, zoran

COUNTS = (1, 2, 4)
LAYOUTS = ("apart", "free")
ROUNDS = 5
SECONDS = 3.0
CONNECTIONS = 64
_WARM_S = 1.0
_CLOSING_S = 120.0


def measure(
    counts: tuple[int, ...] = COUNTS, rounds: int = ROUNDS, seconds: float = SECONDS
) -> dict[str, Any]:
    """All samples, one for each round, layout and number of gateways.

    Returns:
        `cores` of the machine and `samples`: `round`, `layout`, `gateways`, `requests_per_s`, `errors`,
        `p50_ms`, `p99_ms`; `cpu_s` of the window by what used it (`gateway`, `haproxy`, `rest` of that
        server, `backend`, `generator`, `idle` servers), `seconds` of it, and `shares`: each gateway's part
        of the CPU time of all, the busiest first.
    """
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="zg-", dir="/tmp") as folder, ExitStack() as running:
        work = Workplace(Path(folder), Path(folder), Path(folder))
        backend = running.enter_context(noop(work)).endpoint
        servers = {
            count: running.enter_context(
                zoran(work, f"{count}", backend=backend.base_url, gateways=count)
            ).endpoint
            for count in counts
        }
        samples = [
            _sample(round_, layout, count, servers, backend, cores, seconds)
            for round_ in range(rounds)
            for layout in LAYOUTS
            for count in _turned(counts, round_)
        ]
    return {"cores": len(cores), "connections": CONNECTIONS, "samples": samples}


def _turned(counts: tuple[int, ...], round_: int) -> tuple[int, ...]:
    """In another order each round, so that what the machine does meanwhile meets all."""
    first = round_ % len(counts)
    return counts[first:] + counts[:first]


def _sample(
    round_: int,
    layout: str,
    count: int,
    servers: Mapping[int, Endpoint],
    backend: Endpoint,
    cores: list[int],
    seconds: float,
) -> dict[str, Any]:
    endpoint = servers[count]
    idle = [pid for other in servers if other != count for pid in _pids(servers[other])]
    groups = dict(endpoint.groups())
    gateways = groups.pop("gateway", ())
    watch = {f"gateway {pid}": (pid,) for pid in gateways} | groups
    watch |= {"backend": backend.groups()["backend"], "idle": tuple(idle)}
    first, last = gateway_cores(count, cores), cores[-1:]
    apart = layout == "apart" and len(cores) > 1
    others = [*idle, *watch["backend"], *(pid for pids in groups.values() for pid in pids)]
    with pinned(gateways, first, others, last) if apart else nullcontext():
        figures = run_load(
            {
                "url": endpoint.chat,
                "headers": dict(endpoint.headers),
                "body": chat_body(endpoint.model, stream=False),
                "concurrency": CONNECTIONS,
                "warmup_s": _WARM_S,
                "seconds": seconds,
                "watch": {label: list(pids) for label, pids in watch.items()},
                "cores": last if apart else [],
            },
            _WARM_S + seconds + _CLOSING_S,
        )
    return {"round": round_, "layout": layout, "gateways": count, **_kept(figures)}


def gateway_cores(gateways: int, cores: list[int]) -> list[int]:
    """One core each as far as there are, and one left for all else."""
    return cores[: max(1, min(gateways, len(cores) - 1))]


def _kept(figures: dict[str, Any]) -> dict[str, Any]:
    each = {label: used for label, used in figures["cpu_s"].items() if label.startswith("gateway ")}
    cpu_s = {label: used for label, used in figures["cpu_s"].items() if label not in each}
    total = sum(each.values())
    return {
        "seconds": figures["seconds"],
        "requests_per_s": figures["requests_per_s"],
        "errors": figures["errors"],
        "p50_ms": figures["latency_ms"].get("p50"),
        "p99_ms": figures["latency_ms"].get("p99"),
        "cpu_s": {"gateway": total, **cpu_s},
        "shares": sorted((used / total for used in each.values()), reverse=True) if total else [],
    }


def _pids(endpoint: Endpoint) -> Iterator[int]:
    for pids in endpoint.groups().values():
        yield from pids
