"""`kill -9` of parts of a running server that has a spare of each, and of Ray's GCS, while clients ask.

The whole program with two gateways and two engines of the embedded model. The clients' own log says how
long requests failed; the server's control channel, when the part that died was there again.
"""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.cluster.prober import Prober, probing, told
from benchmarks.serving.contender import Endpoint, Running, Workplace
from benchmarks.serving.processes import title
from benchmarks.serving.stack import zoran
from zoran_ray.control import Control
from zoran_ray.errors import ZoranError
from zoran_ray.pocket import MODEL_DIR

REPLICAS = GATEWAYS = 2
KILLS = 3
WATCH_S = 10.0
GCS_WATCH_S = 20.0
_WHOLE_S = 180.0
_EVERY_S = 0.2
_CONTROL_S = 5.0
_POLITE_S = 3.0


@dataclass(frozen=True, slots=True)
class Part:
    """What is killed.

    Attributes:
        find: Its processes, one of which is killed.
        spare: How many there must be for one to be spare, and for all to be whole again.
    """

    name: str
    find: Callable[[], list[int]]
    spare: int


async def measure(
    kills: int = KILLS, watch_s: float = WATCH_S, gcs_s: float = GCS_WATCH_S
) -> dict[str, Any]:
    """All kills, one after the other; the GCS, which this server cannot get back, last.

    Returns:
        `parts`: for each kill `part`, what `prober.told` says of the `watch_s` seconds after it and until
        all is whole, and `whole_s` until there are as many as before; `gcs`: the same of `gcs_s` seconds
        without a GCS, `second_half` alone too.
    """
    with tempfile.TemporaryDirectory(prefix="zf-", dir="/tmp") as folder:
        work = Workplace(Path(folder), Path(folder), MODEL_DIR)
        with zoran(work, "zoran", gateways=GATEWAYS, replicas=REPLICAS) as running:
            return await _faults(running, Path(folder), kills, watch_s, gcs_s)


async def _faults(
    running: Running, folder: Path, kills: int, watch_s: float, gcs_s: float
) -> dict[str, Any]:
    control = Control(next(folder.glob("state-*/")))
    parts = (
        Part("engine's replica", lambda: _replicas(control), REPLICAS),
        Part("gateway", lambda: _titled(running, "ray::ServeReplica:gateway"), GATEWAYS),
    )
    found = []
    for _ in range(kills):
        for part in parts:
            await _whole(part)
            found.append(await _killed(part, running.endpoint, watch_s))
    await asyncio.gather(*map(_whole, parts))
    return {"replicas": REPLICAS, "gateways": GATEWAYS, "parts": found} | {
        "gcs": await _without_gcs(running, gcs_s)
    }


async def _killed(part: Part, endpoint: Endpoint, watch_s: float) -> dict[str, Any]:
    before = set(part.find())
    async with probing(endpoint) as prober:
        await _asked(prober)
        since = time.monotonic()
        psutil.Process(min(before)).kill()
        whole_s = await _again(part, before, since)
        await asyncio.sleep(max(0.0, since + watch_s - time.monotonic()))
    return {"part": part.name, **told(prober.log, since), "whole_s": whole_s}


async def _without_gcs(running: Running, gcs_s: float) -> dict[str, Any]:
    (server,) = _titled(running, "gcs/gcs_server")
    async with probing(running.endpoint) as prober:
        await _asked(prober)
        since = time.monotonic()
        psutil.Process(server).kill()
        await asyncio.sleep(gcs_s)
    running.child.stop(_POLITE_S)  # without a GCS it would try for a minute to end in order
    later = since + gcs_s / 2
    return {"seconds": gcs_s, **told(prober.log, since), "second_half": told(prober.log, later)}


async def _asked(prober: Prober) -> None:
    """Requests are answered."""
    since = time.monotonic()
    async with asyncio.timeout(_WHOLE_S):
        while prober.answered_since(since) < 10:
            await asyncio.sleep(_EVERY_S)


async def _whole(part: Part) -> None:
    async with asyncio.timeout(_WHOLE_S):
        while len(await asyncio.to_thread(part.find)) < part.spare:
            await asyncio.sleep(_EVERY_S)


async def _again(part: Part, before: set[int], since: float) -> float | None:
    """Seconds until there are as many as before, one of them new; None where that takes too long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_WHOLE_S):
            while True:
                now = set(await asyncio.to_thread(part.find))
                if len(now) >= part.spare and now - before:
                    return time.monotonic() - since
                await asyncio.sleep(_EVERY_S)
    return None


def _replicas(control: Control) -> list[int]:
    """The actors of engines that take requests; none while the registry is away."""
    with contextlib.suppress(ZoranError, OSError):
        return [each["pids"][0] for each in control.call("replicas", _CONTROL_S)["replicas"]]
    return []


def _titled(running: Running, text: str) -> list[int]:
    return [process.pid for process in running.child.processes() if text in title(process)]
