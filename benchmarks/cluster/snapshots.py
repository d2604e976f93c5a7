"""One picture of the fleet: how large it is, what it costs to make, to send and to take over, to choose by.

The registry, the snapshots and everything a gateway does with them are the program's own; only engines are
made up. All in one process and without Ray: what its calls add is in `mailbox`.
"""

import asyncio
import gc
import pickle
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry

from actors.registry import ReplicaRegistry
from benchmarks.cluster.made_up import conversations, engines, load, model_infos, models_of, replica_infos
from benchmarks.serving.stats import percentiles
from zoran_ray.engines.fleet import Fleet
from zoran_ray.messages import FleetSnapshot
from zoran_ray.telemetry import GatewayMetrics

PROTOCOL = 5
"""Of pickle: what Ray sends messages with."""
TURNS = 30
CHOICES = 2_000
_STILL_S = 0.02


async def measure(
    replicas: int, *, alone: bool, turns: int = TURNS, choices: int = CHOICES
) -> dict[str, Any]:
    """Figures of one size of fleet.

    Args:
        alone: All replicas serve one model; else ten a model.
        turns: How often each step is taken.
        choices: How many replicas are chosen.

    Returns:
        `bytes` of a snapshot; microseconds of each step as `[median, lowest, highest]`: `heartbeat` (one
        replica tells the registry something new), `build`, `pickle`, `unpickle`, `apply`; `choose_us` and
        `home_us` (the same for a conversation) with p50 and p99; `registry_bytes` and `gateway_bytes`.
    """
    models = models_of(replicas, alone=alone)
    async with engines() as port:
        registry, registry_bytes = await _registry(replicas, models, port)
        rng = random.Random(5)
        infos = registry.snapshot().replicas

        async def beat() -> None:
            number = rng.randrange(replicas)
            await registry.heartbeat(replace(infos[number], load=load(rng)))

        heartbeat = [await _us_of(beat) for _ in range(10 * turns)]
        snapshot = registry.snapshot()
    sent = pickle.dumps(snapshot, PROTOCOL)
    received = pickle.loads(sent)
    gateway, gateway_bytes = _gateway(sent)
    gateway.update(received)
    return {
        "replicas": replicas,
        "models": models,
        "bytes": len(sent),
        "heartbeat_us": _spread(heartbeat),
        "build_us": _spread(_us(registry.snapshot) for _ in range(turns)),
        "pickle_us": _spread(_pickled(snapshot) for _ in range(turns)),
        "unpickle_us": _spread(_us(lambda: pickle.loads(sent)) for _ in range(turns)),
        "apply_us": _spread(_applied(sent, turns)),
        "registry_bytes": registry_bytes,
        "gateway_bytes": gateway_bytes,
        **_choices(gateway, choices),
    }


async def _registry(replicas: int, models: int, port: int) -> tuple[ReplicaRegistry, int]:
    """A registry that knows them all, lifelines included, and the bytes of Python objects it is made of."""
    infos = replica_infos(replicas, models, port)
    tracemalloc.start()
    registry = ReplicaRegistry(clock=lambda: 0.0)  # nobody falls silent while something is timed
    await registry.put_models(model_infos(models))
    for info in infos:
        # As from the wire: nothing in it is shared with what is made up here.
        await registry.heartbeat(pickle.loads(pickle.dumps(info, PROTOCOL)))
    while len(asyncio.all_tasks()) < replicas:  # until every lifeline is held
        await asyncio.sleep(_STILL_S)
    await asyncio.sleep(10 * _STILL_S)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return registry, held


def _gateway(sent: bytes) -> tuple[Fleet, int]:
    """A gateway's view of the fleet, and the bytes of Python objects it is made of."""
    gc.collect()
    tracemalloc.start()
    fleet = Fleet(rng=random.Random(7))
    fleet.update(pickle.loads(sent))
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return fleet, held


def _pickled(snapshot: FleetSnapshot) -> float:
    """Microseconds of the first time; what has been pickled once is sent again as it is."""
    fresh = replace(snapshot)
    return _us(lambda: pickle.dumps(fresh, PROTOCOL))


def _applied(sent: bytes, turns: int) -> list[float]:
    """Microseconds in which a gateway takes a snapshot over: its fleet and its metrics."""
    fleet, metrics = Fleet(), GatewayMetrics(CollectorRegistry())
    pictures: list[FleetSnapshot] = [pickle.loads(sent) for _ in range(turns + 1)]

    def apply(picture: FleetSnapshot) -> None:
        fleet.update(picture)
        metrics.observe_fleet(picture)

    apply(pictures.pop())  # the first one makes every seat and label
    return [_us(lambda picture=picture: apply(picture)) for picture in pictures]  # type: ignore[misc]


def _choices(fleet: Fleet, choices: int) -> dict[str, Any]:
    """Microseconds of a choice among the replicas of one model, without and with a conversation."""
    names, said = list(fleet.snapshot.models), conversations(3)
    rng = random.Random(9)
    free, home = [], []
    for _ in range(choices):
        name, affinity = rng.choice(names), next(said)
        free.append(_us(lambda: fleet.choose(name)))  # noqa: B023 - called at once
        home.append(_us(lambda: fleet.choose(name, affinity)))  # noqa: B023
    return {"choose_us": percentiles(free), "home_us": percentiles(home)}


def _us(work: Callable[[], object]) -> float:
    began = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - began) / 1e3


async def _us_of(work: Callable[[], Any]) -> float:
    began = time.perf_counter_ns()
    await work()
    return (time.perf_counter_ns() - began) / 1e3


def _spread(values: Iterable[float]) -> list[float]:
    """Median, lowest, highest."""
    found = list(values)
    return [statistics.median(found), min(found), max(found)]
