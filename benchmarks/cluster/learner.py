"""The Resonator with many gateways: reports written and learned a second, and the picture it gives back.

The actor's plain class on a real journal; gateways are tasks that send batches of the size that a busy one
sends. What Ray's calls add is in `mailbox`.
"""

import asyncio
import pickle
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from actors.resonator import ResonatorActor
from benchmarks.cluster.made_up import models_file
from benchmarks.cluster.snapshots import PROTOCOL
from benchmarks.serving.stats import percentiles
from zoran_ray.messages import CatalogueSnapshot
from zoran_ray.models_file import ModelsFile
from zoran_ray.routing import Snapshot
from zoran_ray.routing.features import TASKS
from zoran_ray.routing.reports import Answered
from zoran_ray.settings import JournalSettings, RoutingSettings

GATEWAYS = 100
BATCH = 20
"""Reports a gateway has after a quarter of a second of 80 requests a second."""
BATCHES = 5
CHOICES = 2_000
_ENDS_WITHIN_S = 240.0
_LOOK_S = 0.25
"""Between two looks at what is learned: a look costs the learner milliseconds."""


async def measure(
    models: int, gateways: int = GATEWAYS, batches: int = BATCHES, choices: int = CHOICES
) -> dict[str, Any]:
    """Figures with so many models to choose among.

    Returns:
        `recorded_per_s`: reports on disk, all gateways sending at once; `learned_per_s`: until all of them
        are learned as well; `publish_us` (a picture made), `pickle_us`, `unpickle_us` as `[median, lowest,
        highest]`; `bytes` of the picture; `choose_us` with p50 and p99: a decision by it.
    """
    with tempfile.TemporaryDirectory(prefix="zc-", dir="/tmp") as folder:
        return await _measured(Path(folder) / "state", models, gateways, batches, choices)


async def _measured(state: Path, models: int, gateways: int, batches: int, choices: int) -> dict[str, Any]:
    state.mkdir(mode=0o700)
    settings = RoutingSettings()
    file = models_file(models)
    actor = ResonatorActor(
        state, settings, _catalogue(file), journal=JournalSettings(routing=False), tell=_nobody
    )
    try:
        async with asyncio.timeout(_ENDS_WITHIN_S):
            await _taught(actor, [_reports(file, 0, -1, 1, settings.size)])  # compiled now
            sent = [
                [_reports(file, gateway, number, BATCH, settings.size) for number in range(batches)]
                for gateway in range(gateways)
            ]
            began = time.perf_counter()
            await asyncio.gather(*(_told(actor, each) for each in sent))
            recorded_s = time.perf_counter() - began
            await _learned(actor, 1 + gateways * batches * BATCH)
            learned_s = time.perf_counter() - began
            snapshot = await actor.watch("", 0, 10.0)
    finally:
        await actor.stop()
    assert snapshot is not None
    reports = gateways * batches * BATCH
    return {
        "models": models,
        "gateways": gateways,
        "reports": reports,
        "recorded_per_s": reports / recorded_s,
        "learned_per_s": reports / learned_s,
        **_picture(snapshot, choices),
    }


def _catalogue(file: ModelsFile) -> Any:
    async def watch(epoch: str, version: int, timeout_s: float) -> CatalogueSnapshot | None:
        if version == 0:
            return CatalogueSnapshot("e", 1, file)
        await asyncio.sleep(timeout_s)
        return None

    return watch


async def _nobody(*_: Any, **__: Any) -> int:
    return 0


async def _taught(actor: ResonatorActor, batches: list[tuple[Answered, ...]]) -> None:
    await _told(actor, batches)
    await _learned(actor, sum(map(len, batches)))


async def _told(actor: ResonatorActor, batches: Iterable[tuple[Answered, ...]]) -> None:
    """One gateway: the next batch when the last one is acknowledged."""
    for batch in batches:
        await actor.report(batch)


async def _learned(actor: ResonatorActor, count: int) -> None:
    while (await actor.state())["counts"]["answered"] < count:
        await asyncio.sleep(_LOOK_S)


def _reports(file: ModelsFile, gateway: int, number: int, count: int, size: int) -> tuple[Answered, ...]:
    rng = np.random.default_rng([gateway, number + 1])
    names = [model.public_name for model in file.models]
    made = []
    for place in range(count):
        x = rng.normal(size=size) / np.sqrt(size)
        x[0] = 1.0
        arm, task = names[int(rng.integers(len(names)))], TASKS[int(rng.integers(len(TASKS)))]
        # Good and steady answers: the guard's way back is not what is measured.
        score = float(np.clip(rng.normal(0.9, 0.03), 0.0, 1.0))
        made.append(
            Answered(
                f"r-{gateway}-{number}-{place}", arm, arm, 0.5, 1, x, task, 100, 50.0,
                float(rng.normal(1.0, 0.05)), 1e-4, False, score, f"key-{gateway}", time.time(),
            )
        )  # fmt: skip
    return tuple(made)


def _picture(snapshot: Snapshot, choices: int) -> dict[str, Any]:
    sent = pickle.dumps(snapshot, PROTOCOL)
    rng = np.random.default_rng(1)
    took = []
    for _ in range(choices):
        x, draw = rng.normal(size=snapshot.size), float(rng.random())
        began = time.perf_counter_ns()
        snapshot.choose(x, draw, input_tokens=100)
        took.append((time.perf_counter_ns() - began) / 1e3)

    def timed(work: Any) -> list[float]:
        each = []
        for _ in range(30):
            began = time.perf_counter_ns()
            work()
            each.append((time.perf_counter_ns() - began) / 1e3)
        return [statistics.median(each), min(each), max(each)]

    return {
        "bytes": len(sent),
        "pickle_us": timed(lambda: pickle.dumps(snapshot, PROTOCOL)),
        "unpickle_us": timed(lambda: pickle.loads(sent)),
        "choose_us": percentiles(took),
    }
