"""The stream that `zoran/auto` is measured on: both models' single answers to instances of all tasks.

A million tokens of the small model are said to cost a USD, and those of the large one as many times more as
its weights have more bytes: a price in proportion to the work.
"""

import random
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reasoning.contenders import SINGLE, Contender
from benchmarks.reasoning.quality import LIMIT_S, drawn
from benchmarks.reasoning.running import run
from benchmarks.reasoning.scale import SEED, Scale
from benchmarks.reasoning.tasks import TASKS
from benchmarks.reasoning.tasks.task import Instance
from benchmarks.routing.data import Record
from benchmarks.serving.stats import percentiles
from zoran_ray.reasoning.budget import Budget
from zoran_ray.reasoning.completion import Complete
from zoran_ray.routing import Features, Prompt

_AT_ONCE = 32
_SIZE = 64
"""Numbers of a prompt's vector, as `zoran serve` has it."""


def stream(scale: Scale) -> list[Instance]:
    """Instances of all tasks alike, in an order without sense."""
    each = [drawn(task, -(-scale.stream // len(TASKS))) for task in TASKS]
    mixed = [one for one in chain.from_iterable(zip_longest(*each)) if one is not None][: scale.stream]
    random.Random(SEED).shuffle(mixed)
    return mixed


def single(scale: Scale) -> Contender:
    """How every model of the stream answers."""
    return Contender(SINGLE, "cot", {"max_tokens": scale.max_tokens})


async def answered(model: Complete, scale: Scale) -> dict[str, Any]:
    """A model's answers to the whole stream, and the seconds of some of them asked one at a time."""
    instances = stream(scale)
    outcomes = await run(
        single(scale), instances, model, Budget(calls=1), at_once=_AT_ONCE, limit_s=LIMIT_S
    )
    alone = await run(
        single(scale), instances[: scale.latency], model, Budget(calls=1), at_once=1, limit_s=LIMIT_S
    )
    return {
        "right": [int(each.right) for each in outcomes],
        "prompt_tokens": [each.used.prompt_tokens for each in outcomes],
        "completion_tokens": [each.used.completion_tokens for each in outcomes],
        "alone_s": [round(each.wall_s, 5) for each in alone],
    }


def prices(folders: Sequence[Path]) -> list[float]:
    """USD for a million tokens of each model, the small one first."""
    sizes = [sum(file.stat().st_size for file in folder.glob("*.safetensors")) for folder in folders]
    return [round(max(1, size) / max(1, sizes[0]), 3) for size in sizes]


def record(
    instances: Sequence[Instance], found: Sequence[Mapping[str, Any]], usd: Sequence[float]
) -> Record:
    """What `benchmarks.routing` replays: the questions' vectors, and each model's reward and cost.

    Args:
        found: As `answered`, for each model.
        usd: Their prices for a million tokens.
    """
    features = Features(_SIZE)
    tokens = np.array(
        [np.add(each["prompt_tokens"], each["completion_tokens"]) for each in found], dtype=float
    ).T
    return Record(
        ("small", "large"),
        np.array([features(Prompt(each.question)) for each in instances]),
        np.array([each["right"] for each in found], dtype=float).T,
        tokens * np.asarray(usd) / 1e6,
    )


def compared(instances: Sequence[Instance], found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Small against large on each task and on all: who is right how often, for paired intervals."""
    tasks = {name: [n for n, each in enumerate(instances) if each.task == name] for name in TASKS}
    rows = []
    for name, places in {**tasks, "all tasks": list(range(len(instances)))}.items():
        if places:
            rights = [[float(each["right"][n]) for n in places] for each in found]
            rows.append({"task": name, "rights": rights})
    return rows


def latency_ms(found: Mapping[str, Any]) -> dict[str, float]:
    """Percentiles of the time of an answer on an idle engine, in milliseconds."""
    return percentiles((1_000 * each for each in found["alone_s"]), (0.5, 0.95))
