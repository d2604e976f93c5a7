"""The registry as the actor it is: what Ray's calls add when a whole fleet talks to it at once.

Runs in a process of its own, because a process has one Ray. Heartbeats come and snapshots go by real calls;
all replicas and gateways that make them are tasks of that one process, which so costs more than the actor.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any

from benchmarks.cluster.made_up import engines, load, model_infos, models_of, replica_infos
from benchmarks.own_ray import own_ray
from benchmarks.readme import ROOT
from benchmarks.serving.processes import cpu_seconds
from benchmarks.serving.stats import percentiles
from zoran_ray import messages

GATEWAYS = 100
SIZES = (10, 100, 1_000)
SECONDS = 4.0
_WARM_S = 2.0
_WATCH_S = 10.0
_CALL_S = 30.0
_AT_ONCE = 64
_ENDS_WITHIN_S = 300


def measure(
    sizes: tuple[int, ...] = SIZES, gateways: int = GATEWAYS, seconds: float = SECONDS
) -> list[dict[str, Any]]:
    """Figures of a process with a Ray of its own, one row a size.

    Returns:
        Of each row `heartbeat_cpu_us` and `answer_cpu_us`: CPU microseconds of the registry's process for
        one heartbeat and for one snapshot that a gateway fetches, each alone. Then of all together, with
        four heartbeats a second of each replica and `gateways` that watch: `heartbeats_per_s` of
        `wanted_per_s`, `snapshots_per_s` of one gateway, `age_ms` (a heartbeat sent → first seen by a
        gateway), `cores` that the registry's process used and `crowd_cores` those of all replicas and
        gateways together, `forgotten`: replicas taken for lost meanwhile.
    """
    job = {"sizes": sizes, "gateways": gateways, "seconds": seconds}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cluster.mailbox", json.dumps(job)],
        env={**os.environ, **own_ray()},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_ENDS_WITHIN_S,
        check=False,
    )
    if done.returncode:
        raise OSError(f"the registry under load: {done.stderr.strip()[-1000:]}")
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


class Crowd:
    """Replicas and gateways of one registry.

    Args:
        registry: Handle of the actor.
        pid: Of its process.
        replicas: How many; the first one's load counts its heartbeats: a snapshot tells its last one.
        port: Where their lifelines go.
    """

    def __init__(self, registry: Any, pid: int, replicas: int, port: int) -> None:
        self._registry = registry
        self._pid = pid
        self._models = models_of(replicas, alone=False)
        self._infos = replica_infos(replicas, self._models, port)
        self._rng = random.Random(1)
        self._epoch = ""
        self._sent_at = [time.monotonic()]
        self._beats = 0
        self._snapshots = 0
        self._fewest = replicas
        self.ages_s: list[float] = []

    async def join(self) -> None:
        """All replicas are known."""
        await self._registry.put_models.remote(model_infos(self._models))
        for start in range(0, len(self._infos), _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, len(self._infos)))
            await asyncio.gather(*(self._beat(number) for number in numbers))
        known = await self._registry.fleet.remote()
        self._epoch = known.epoch
        # The picture that has them all.
        await self._registry.watch.remote(known.epoch, known.version - 1, _WATCH_S)

    async def heartbeats_alone(self, seconds: float) -> float:
        """CPU microseconds of the registry for a heartbeat, as fast as they come."""
        return await self._cost(lambda: self._beat(self._rng.randrange(len(self._infos))), seconds)

    async def answers_alone(self, seconds: float) -> float:
        """CPU microseconds of the registry for a snapshot that a gateway fetches."""
        return await self._cost(self._fetch, seconds)

    async def together(self, gateways: int, seconds: float, beat_s: float) -> dict[str, Any]:
        """Everybody at their own pace."""
        tasks = [asyncio.create_task(self._live(number, beat_s)) for number in range(len(self._infos))]
        tasks += [asyncio.create_task(self._watch()) for _ in range(gateways)]
        await asyncio.sleep(_WARM_S)
        self._beats = self._snapshots = 0
        self.ages_s.clear()
        self._fewest = len(self._infos)
        both = [self._pid, os.getpid()]
        before, began = cpu_seconds(both), time.monotonic()
        await asyncio.sleep(seconds)
        took, after = time.monotonic() - began, cpu_seconds(both)
        cores, crowd_cores = ((after[pid] - before[pid]) / took for pid in both)
        found = {
            "wanted_per_s": len(self._infos) / beat_s,
            "heartbeats_per_s": self._beats / took,
            "snapshots_per_s": self._snapshots / took / gateways,
            "age_ms": {name: 1_000 * age for name, age in percentiles(self.ages_s).items()},
            "cores": cores,
            "crowd_cores": crowd_cores,
            "forgotten": len(self._infos) - self._fewest,
        }
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return found

    async def _cost(self, call: Callable[[], Awaitable[None]], seconds: float) -> float:
        ends, calls = time.monotonic() + seconds, 0

        async def repeat() -> None:
            nonlocal calls
            while time.monotonic() < ends:
                await call()
                calls += 1

        before = cpu_seconds([self._pid])
        await asyncio.gather(*(repeat() for _ in range(8)))
        spent = cpu_seconds([self._pid])[self._pid] - before[self._pid]
        return 1e6 * spent / max(1, calls)

    async def _live(self, number: int, beat_s: float) -> None:
        """A replica: a heartbeat, and the next one a while after the last was begun."""
        await asyncio.sleep(self._rng.random() * beat_s)
        while True:
            began = time.monotonic()
            async with asyncio.timeout(_CALL_S):
                await self._beat(number)
            await asyncio.sleep(max(0.0, beat_s - (time.monotonic() - began)))

    async def _beat(self, number: int) -> None:
        info = replace(self._infos[number], load=load(self._rng))
        if number == 0:
            info = replace(info, load=replace(info.load, running=len(self._sent_at)))
            self._sent_at.append(time.monotonic())
        await self._registry.heartbeat.remote(info)
        self._beats += 1

    async def _fetch(self) -> None:
        # Who is a version behind gets the picture there is, made once for all.
        await self._registry.watch.remote(self._epoch, -1, _WATCH_S)

    async def _watch(self) -> None:
        """A gateway: the next picture as soon as there is one."""
        epoch, version, newest = "", 0, 0
        while True:
            async with asyncio.timeout(_WATCH_S + _CALL_S):
                fresh = await self._registry.watch.remote(epoch, version, _WATCH_S)
            if fresh is None:
                continue
            epoch, version = fresh.epoch, fresh.version
            self._snapshots += 1
            self._fewest = min(self._fewest, len(fresh.replicas))
            first = next((r for r in fresh.replicas if r.replica_id == self._infos[0].replica_id), None)
            if first is not None and first.load.running > newest:
                newest = first.load.running
                self.ages_s.append(time.monotonic() - self._sent_at[newest])


async def _measured(replicas: int, gateways: int, seconds: float) -> dict[str, Any]:
    from actors.registry import HEARTBEAT_S

    async with engines() as port:
        # Its clock stands still, so that nobody is lost while only some talk to it.
        async with _crowd(replicas, port, lambda: 0.0) as crowd:
            row = {
                "replicas": replicas,
                "gateways": gateways,
                "heartbeat_cpu_us": await crowd.heartbeats_alone(seconds / 2),
                "answer_cpu_us": await crowd.answers_alone(seconds / 2),
            }
        async with _crowd(replicas, port, time.monotonic) as crowd:
            return row | await crowd.together(gateways, seconds, HEARTBEAT_S)


@asynccontextmanager
async def _crowd(replicas: int, port: int, clock: Callable[[], float]) -> AsyncIterator[Crowd]:
    """All replicas, known to a registry of their own."""
    import ray

    from actors.registry import ReplicaRegistry

    registry = ray.remote(ReplicaRegistry).options(num_cpus=0, max_concurrency=1000).remote(clock)
    pid = await registry.__ray_call__.remote(lambda _: os.getpid())
    crowd = Crowd(registry, pid, replicas, port)
    await crowd.join()
    try:
        yield crowd
    finally:
        ray.kill(registry)


def main() -> None:
    import ray

    job = json.loads(sys.argv[1])
    # Once for all gateways of this process: real ones have cores of their own to decode pictures.
    setattr(messages, "_unpacked", lru_cache(8)(messages._unpacked))  # noqa: B010
    ray.init(
        num_cpus=2,
        namespace="zoran",
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=512 * 1024**2,
    )
    try:
        rows = [asyncio.run(_measured(size, job["gateways"], job["seconds"])) for size in job["sizes"]]
        sys.stdout.write(json.dumps(rows) + "\n")
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
