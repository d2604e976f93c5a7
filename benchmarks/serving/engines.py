"""Part 1: streams from a real engine, through every contender that holds one.

One engine runs at a time. What shares a running engine is measured turn about: zoran and the replica's own
server; a peer as it comes and the same peer with its engine pinned like ours. Everything is started anew in
every round, in another order, and the order within a turn changes too.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from benchmarks.serving.bench import Bench
from benchmarks.serving.contender import Endpoint, Running
from benchmarks.serving.processes import pinned
from benchmarks.serving.stack import bare_vllm, ray_llm, zoran
from zoran_ray.engines.vllm.pinning import plan_cores

PART = "engines"
ZORAN, DIRECT = "zoran", "the replica's own server"
ZORAN_PINNED, DIRECT_PINNED = "zoran, pinned", "the replica's own server, pinned"
BARE = "bare vLLM"
RAY, RAY_DIRECT = "Ray Serve LLM, default", "Ray Serve LLM, direct streaming"
ALIKE = ", pinned alike"


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to ask a running engine.

    Attributes:
        around: Entered for each measurement.
        cores: Cores of the load generator; empty: all.
    """

    name: str
    endpoint: Endpoint
    around: Callable[[], AbstractContextManager[None]] = nullcontext
    cores: frozenset[int] = frozenset()


def measure_engines(bench: Bench, chosen: Sequence[str], round_: int) -> None:
    """One round over all `chosen` contenders, by the keys of `STARTS`."""
    keys = [key for key in STARTS if key in chosen]
    turned = round_ % len(keys) if keys else 0
    for key in keys[turned:] + keys[:turned]:
        with bench.trying(key), STARTS[key](bench) as running:
            bench.note_start(running, round_)
            _alternate(bench, list(_arms(running)), round_)


STARTS: dict[str, Callable[[Bench], AbstractContextManager[Running]]] = {
    "zoran": lambda bench: zoran(bench.work, ZORAN, pin=False),
    "pinned": lambda bench: zoran(bench.work, ZORAN_PINNED),
    "bare": lambda bench: bare_vllm(bench.work),
    "ray": lambda bench: ray_llm(bench.work, direct_streaming=False),
    "ray-direct": lambda bench: ray_llm(bench.work, direct_streaming=True),
}


def _arms(running: Running) -> Iterator[Arm]:
    endpoint = running.endpoint
    plan = plan_cores(os.sched_getaffinity(0), "auto")
    if running.direct is not None:
        is_pinned = endpoint.name == ZORAN_PINNED
        cores = plan.rest if is_pinned else frozenset()
        yield Arm(DIRECT_PINNED if is_pinned else DIRECT, running.direct, cores=cores)
        yield Arm(endpoint.name, endpoint, cores=cores)
        return
    yield Arm(endpoint.name, endpoint)
    if plan.engine:
        groups = endpoint.groups()
        engine = groups.get("engine", ())
        rest = [pid for label, pids in groups.items() if label != "engine" for pid in pids]
        yield Arm(
            endpoint.name + ALIKE,
            endpoint,
            lambda: pinned(engine, plan.engine, rest, plan.rest),
            plan.rest,
        )


def _alternate(bench: Bench, arms: list[Arm], round_: int) -> None:
    for concurrency in bench.settings.streams:
        for turn in range(bench.settings.turns):
            for arm in arms if (turn + round_) % 2 == 0 else arms[::-1]:
                with arm.around():
                    bench.measure(
                        PART,
                        arm.endpoint,
                        concurrency,
                        stream=True,
                        at=(round_, turn),
                        cores=arm.cores,
                        name=arm.name,
                    )
    bench.save()
