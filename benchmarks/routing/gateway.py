"""`python -m benchmarks.routing.gateway`: what `zoran/auto` costs a request, over the model by its name.

One client on one connection, through HAProxy and a gateway with keys, limits and metrics on, to a back end
that does nothing. Named and routed requests take turns, so whatever else the machine does meets both.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.readme import table
from benchmarks.serving.contender import Endpoint, Workplace
from benchmarks.serving.http1 import Connection, request_bytes
from benchmarks.serving.stack import noop, zoran
from benchmarks.serving.stats import percentiles
from zoran_ray.offers import AUTO

WORDS = (
    "write",
    "explain",
    "solve",
    "a",
    "function",
    "sum",
    "of",
    "17",
    "and",
    "25",
    "in",
    "python",
    "river",
)
_TIMEOUT_S = 30.0
_WARM = 200


def main() -> int:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=2000, help="of each kind, in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--arms", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results = measure(args.requests, args.rounds, args.arms)
    print(markdown(results))
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    return 0


def measure(requests: int = 2000, rounds: int = 5, arms: int = 3) -> dict[str, Any]:
    """The whole of it, for JSON."""
    with tempfile.TemporaryDirectory(prefix="zb-", dir="/tmp") as folder:
        work = Workplace(Path(folder), Path(folder), Path(folder))
        with (
            noop(work) as backend,
            zoran(work, "zoran", backend=backend.endpoint.base_url, arms=arms) as served,
        ):
            taken = asyncio.run(_rounds(served.endpoint, rounds, requests))
    return {"arms": arms, "requests": requests, "rounds": taken, **_summary(taken)}


async def _rounds(endpoint: Endpoint, rounds: int, requests: int) -> list[dict[str, Any]]:
    connection = await Connection.open(endpoint.base_url)
    try:
        await _round(endpoint, connection, _WARM)
        return [await _round(endpoint, connection, requests) for _ in range(rounds)]
    finally:
        connection.close()


async def _round(endpoint: Endpoint, connection: Connection, requests: int) -> dict[str, Any]:
    took: dict[str, list[float]] = {endpoint.model: [], AUTO: []}
    for _ in range(requests):
        for model, times in took.items():
            began = time.perf_counter()
            status = await connection.exchange(_request(endpoint, model), lambda body: None, _TIMEOUT_S)
            times.append(1000 * (time.perf_counter() - began))
            if status != 200:
                raise RuntimeError(f"{model}: answered {status}")
    return {
        "named_ms": percentiles(took[endpoint.model]),
        "auto_ms": percentiles(took[AUTO]),
    }


def _request(endpoint: Endpoint, model: str) -> bytes:
    """A prompt of its own each time: the same one again would count against the first answer."""
    prompt = " ".join(random.choices(WORDS, k=60)) + f" {random.random()}"
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": 16}
    return request_bytes(endpoint.chat, endpoint.headers, json.dumps(body).encode())


def _summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    added = [each["auto_ms"]["p50"] - each["named_ms"]["p50"] for each in rounds]
    return {"added_p50_ms": statistics.median(added), "added_p50_range_ms": [min(added), max(added)]}


def markdown(results: dict[str, Any]) -> str:
    """The table."""
    shares = ("p50", "p95", "p99")
    rows = []
    for kind, label in (("named_ms", "named"), ("auto_ms", "`zoran/auto`")):
        found = [statistics.median(each[kind][share] for each in results["rounds"]) for share in shares]
        rows.append([label, *(f"{value:.2f}" for value in found)])
    low, high = results["added_p50_range_ms"]
    told = [
        f"{results['arms']} arms, {len(results['rounds'])} rounds of {results['requests']} requests of each"
        " kind, one connection.",
        table(["", *(f"{share}, ms" for share in shares)], rows),
        f"Added p50: {results['added_p50_ms']:.2f} ms ({low:.2f} to {high:.2f}); target at most 0.5.",
    ]
    return "\n\n".join(told)


if __name__ == "__main__":
    sys.exit(main())
