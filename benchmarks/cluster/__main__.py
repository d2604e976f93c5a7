"""`python -m benchmarks.cluster`: the control plane in large, one to four gateways, parts that are killed.

python -m benchmarks.cluster --write-readme               everything
python -m benchmarks.cluster --quick                      little of everything: shows that it runs
python -m benchmarks.cluster --only fleet learner         some parts
python -m benchmarks.cluster --faults FILE.jsonl          hosts' figures from a run of their tests before

A run that was cut goes on where it was. The faults of several hosts need root and are left out otherwise.
"""

import argparse
import asyncio
import hashlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Before numpy: one thread each, as in an actor.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import psutil

from benchmarks.cluster import decisions, failover, hosts, learner, mailbox, scaling, snapshots
from benchmarks.cluster.made_up import models_of
from benchmarks.cluster.report import markdown
from benchmarks.readme import README, ROOT, link, save, write_into
from benchmarks.reasoning.parts import Parts
from benchmarks.serving.children import StartFailed
from benchmarks.serving.results import new_results

PARTS = ("fleet", "registry", "learner", "gateways", "failover", "hosts")
PROGRESS = ROOT / "build" / "bench-cluster.jsonl"
_CODE = (
    "benchmarks/cluster",
    "benchmarks/serving",
    "actors",
    "serve_apps",
    "zoran_ray/engines",
    "zoran_ray/routing",
)
"""Where a change makes a run another one."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large and how often.

    Attributes:
        replicas: Sizes of the fleet.
        gateways: That watch and report.
        turns: Of each step of a snapshot.
        choices: Decisions of each kind.
        models: To choose among.
        seconds: Of the registry under load.
        counts: Gateways before the back end that does nothing.
        rounds: Of those.
        window_s: One measurement of those.
        kills: Of each part.
        watch_s: After each kill, at least.
        gcs_s: Without a GCS.
    """

    replicas: tuple[int, ...] = mailbox.SIZES
    gateways: int = mailbox.GATEWAYS
    turns: int = snapshots.TURNS
    choices: int = snapshots.CHOICES
    models: tuple[int, ...] = (3, 10, 100)
    seconds: float = mailbox.SECONDS
    counts: tuple[int, ...] = scaling.COUNTS
    rounds: int = scaling.ROUNDS
    window_s: float = scaling.SECONDS
    kills: int = failover.KILLS
    watch_s: float = failover.WATCH_S
    gcs_s: float = failover.GCS_WATCH_S


QUICK = Scale(
    replicas=(10, 100), gateways=4, turns=3, choices=50, models=(3,), seconds=1.0, counts=(1, 2), rounds=1,
    window_s=1.0, kills=1, watch_s=3.0, gcs_s=4.0,
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write what was asked for. 1 where a part broke off; what was missed is said."""
    # Whoever ends this ends what it has started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args = _arguments(argv)
    scale = QUICK if args.quick else Scale()
    results = asyncio.run(_measured(args, scale))
    broken = _broken(results)
    publish = args.write_readme and not broken
    data = save("cluster", results, args.json, publish=publish)
    text = markdown(results, link(data) if data else None)
    print(text)
    if broken:
        print(f"Broken off: {', '.join(broken)}. Nothing is published; run it again.", file=sys.stderr)
    if publish:
        write_into(README, "cluster", text)
    return int(bool(broken))


async def _measured(args: argparse.Namespace, scale: Scale) -> dict[str, Any]:
    run = {"code": _code(), "scale": asdict(scale), "faults": str(args.faults)}
    parts = Parts(args.progress, run)

    async def now() -> dict[str, Any]:
        new = new_results(asdict(scale))
        return {"started": new.started, "machine": new.machine, "settings": new.settings}

    results: dict[str, Any] = dict(await parts.part("run", now))
    measures = _measures(args, scale)
    for name in PARTS:
        if name in args.only:
            results[name] = await _part(name, parts, measures[name])
    if set(args.only) == set(PARTS) and not _broken(results):
        parts.end()
    return results


async def _part(name: str, parts: Parts, measure: Callable[[], Awaitable[Any]]) -> Any:
    """What a part has found, or why it broke off; the others go on."""
    try:
        return await parts.part(name, measure)
    except (StartFailed, OSError, subprocess.SubprocessError, psutil.Error) as error:
        return {"left_out": f"{type(error).__name__}: {error}"[:1000]}


def _broken(results: Mapping[str, Any]) -> list[str]:
    """Parts that broke off; hosts may be left out, for whoever is not root."""
    return [name for name in PARTS if name != "hosts" and "left_out" in results.get(name, ())]


def _measures(args: argparse.Namespace, scale: Scale) -> dict[str, Callable[[], Awaitable[Any]]]:
    # Nothing else runs meanwhile: what does not wait may block.
    async def registry() -> Any:
        return mailbox.measure(scale.replicas, scale.gateways, scale.seconds)

    async def learned() -> Any:
        return [
            await learner.measure(models, scale.gateways, choices=scale.choices) for models in scale.models
        ]

    async def gateways() -> Any:
        return scaling.measure(scale.counts, scale.rounds, scale.window_s)

    async def faults() -> Any:
        return hosts.read(args.faults) if args.faults else hosts.measure()

    return {
        "fleet": lambda: _fleet(scale),
        "registry": registry,
        "learner": learned,
        "gateways": gateways,
        "failover": lambda: failover.measure(scale.kills, scale.watch_s, scale.gcs_s),
        "hosts": faults,
    }


async def _fleet(scale: Scale) -> dict[str, Any]:
    shapes = [(replicas, True) for replicas in scale.replicas]
    shapes += [(replicas, False) for replicas in scale.replicas if models_of(replicas, alone=False) > 1]
    return {
        "snapshots": [
            await snapshots.measure(replicas, alone=alone, turns=scale.turns, choices=scale.choices)
            for replicas, alone in shapes
        ],
        "decisions": [
            decisions.measure(replicas, alone=alone, requests=scale.choices) for replicas, alone in shapes
        ],
    }


def _code() -> str:
    files = sorted(path for place in _CODE for path in (ROOT / place).rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--faults", type=Path, help=f"lines that {hosts.TESTS} left in ${hosts.LINES}")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--progress", type=Path, default=PROGRESS, help="what a run that was cut had found")
    parser.add_argument(
        "--write-readme", action="store_true", help="also benchmarks/README.md and results/"
    )
    parser.add_argument("--quick", action="store_true", help="little of everything: shows that it runs")
    return parser.parse_args(argv)


if __name__ == "__main__":
    # Replicas that are made up end by the hundred, and each would be told.
    logging.getLogger("zoran").setLevel(logging.ERROR)
    sys.exit(main())
