"""What a strategy costs through a gateway: its requests against the same calls made straight to the model.

The model is a back end that does nothing, so that all that is left is HAProxy, gateway and strategy. A
request to the strategy and its calls by hand take turns on one connection each.
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.serving.contender import Endpoint, Workplace
from benchmarks.serving.http1 import Connection, request_bytes
from benchmarks.serving.stack import noop, zoran
from benchmarks.serving.stats import percentiles

CALLS = 16
NO_STRATEGY = "the model itself"
"""What any request pays for HAProxy and gateway."""
_TIMEOUT_S = 30.0
_WARM = 20
_NEVER = {"kind": "numeric", "expected": 1}
"""No answer of the back end is right: every strategy goes its whole way."""
_ASKED: dict[str, dict[str, Any] | None] = {
    NO_STRATEGY: None,
    "cot": {},
    "self-consistency": {"samples": CALLS, "at_once": 1},
    "best-of-n": {"samples": CALLS, "at_once": 1},
    "reflexion": {"attempts": CALLS // 2},
}


def measured(requests: int) -> dict[str, Any]:
    """By strategy: calls of a request, and percentiles of milliseconds a call beside the model.

    Args:
        requests: To each strategy.
    """
    with tempfile.TemporaryDirectory(prefix="zr-", dir="/tmp") as folder:
        work = Workplace(Path(folder), Path(folder), Path(folder))
        with noop(work) as backend, zoran(work, "zoran", backend=backend.endpoint.base_url) as served:
            return asyncio.run(_turns(served.endpoint, backend.endpoint, requests))


async def _turns(served: Endpoint, backend: Endpoint, requests: int) -> dict[str, Any]:
    ours, theirs = await Connection.open(served.base_url), await Connection.open(backend.base_url)
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in _ASKED}
    try:
        for number in range(_WARM + requests):
            for name, parameters in _ASKED.items():
                taken, said = await _asked(ours, served, _thinking(served, name, parameters, number))
                calls = 1 if parameters is None else int(json.loads(said)["zoran"]["calls"])
                model = 0.0
                for _ in range(calls):
                    model += (await _asked(theirs, backend, _plain(backend, number)))[0]
                if number >= _WARM:
                    found[name][0].append(calls)
                    found[name][1].append((taken - model) / calls)
    finally:
        ours.close()
        theirs.close()
    return {
        name: {"calls": sum(calls) / len(calls), "ms": percentiles(each)}
        for name, (calls, each) in found.items()
    }


async def _asked(connection: Connection, endpoint: Endpoint, body: dict[str, Any]) -> tuple[float, bytes]:
    """Milliseconds of a request, and its answer."""
    request = request_bytes(endpoint.chat, endpoint.headers, json.dumps(body).encode())
    pieces: list[bytes] = []
    began = time.perf_counter()
    status = await connection.exchange(request, pieces.append, _TIMEOUT_S)
    taken = 1_000 * (time.perf_counter() - began)
    if status != 200:
        raise RuntimeError(f"{endpoint.name}: answered {status}: {b''.join(pieces)[:300]!r}")
    return taken, b"".join(pieces)


def _thinking(
    endpoint: Endpoint, name: str, parameters: dict[str, Any] | None, number: int
) -> dict[str, Any]:
    if parameters is None:
        return _plain(endpoint, number)
    said = {"strategy": parameters, "verifier": _NEVER, "budget": {"calls": CALLS}}
    return _plain(endpoint, number) | {"model": f"zoran/{name}:{endpoint.model}", "zoran": said}


def _plain(endpoint: Endpoint, number: int) -> dict[str, Any]:
    message = {"role": "user", "content": f"chunks=8 What is {number} + 17?"}
    return {"model": endpoint.model, "messages": [message], "max_tokens": 16}
