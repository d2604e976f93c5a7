"""`python -m benchmarks.batch`: files of prompts through our ways and vLLM's own, on the same machine.

python -m benchmarks.batch --write-readme                     both workloads, every contender
python -m benchmarks.batch --only small --rounds 1            a short look
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.batch.contenders import Made, Offline, Server, ray_data, resume, suspend
from benchmarks.batch.interactive import interactive
from benchmarks.batch.random_model import make_random_model
from benchmarks.batch.report import API, COMMAND, DIRECT, OFFLINE, RAY_DATA, compared, markdown
from benchmarks.batch.workload import Workload
from benchmarks.readme import README, ROOT, link, save, write_into
from benchmarks.serving.contender import Workplace
from benchmarks.serving.results import new_results
from benchmarks.serving.stack import ENGINE_ARGS, zoran
from zoran_ray.engines.vllm.pinning import plan_cores
from zoran_ray.pocket import MODEL_DIR

PEERS = ROOT / "benchmarks" / ".peers"
WORKLOADS = {
    "small": Workload("0.9 M parameters, 64 tokens", 1024, 64),
    "large": Workload("60 M random parameters, 32 tokens", 128, 32),
}
CONCURRENCY = 256


def main() -> int:
    """Measure, write JSON and table."""
    # Whoever ends this ends what it has started, too.
    signal.signal(signal.SIGTERM, _ended)
    args = _arguments()
    told = new_results({"engine": dict(ENGINE_ARGS), "concurrency": CONCURRENCY, "rounds": args.rounds})
    results: dict[str, Any] = {"started": told.started, "machine": told.machine, "settings": told.settings}
    results |= {"samples": [], "interactive": []}
    if args.add_to:
        earlier = json.loads(args.add_to.read_text())
        results |= {name: earlier[name] for name in ("samples", "interactive")}
    work = Path(tempfile.mkdtemp(prefix="zb", dir="/tmp"))
    for name in args.only:
        model = MODEL_DIR if name == "small" else work / "model"
        if name == "large":
            _say(f"{make_random_model(model):,} random parameters")
        if not args.only_ray_data:
            _measure(WORKLOADS[name], model, work, args, results)
        if args.ray_data or args.only_ray_data:
            _measure_ray_data(WORKLOADS[name], model, work, args, results)
    path = _save(args, results)
    text = markdown(compared(results), link(path) if path else "not kept")
    if args.write_readme:
        write_into(README, "batch", text)
    print(text)
    return 0


def _ended(*_: object) -> None:
    # Once: a second one would break off the tidying up.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def _measure(
    workload: Workload, model: Path, work: Path, args: argparse.Namespace, results: dict[str, Any]
) -> None:
    """All that share one loaded engine each, turn about; whoever is not asked is held still."""
    cores = sorted(plan_cores(os.sched_getaffinity(0), "auto").rest)
    place = Workplace(work, PEERS, model)
    with Offline(model, work) as offline, zoran(place, "zoran") as running:
        server = Server(running, work, cores, CONCURRENCY)

        def generate(workload: Workload, turn: int) -> Made:
            engines = server.engines()
            suspend(engines)
            try:
                return offline.run(workload, turn)
            finally:
                resume(engines)

        ways: dict[str, Callable[[Workload, int], Made]] = {
            OFFLINE: generate,
            COMMAND: server.command_line,
            API: server.batch_api,
            DIRECT: server.direct,
        }
        warm = Workload(workload.name, 64, 16)
        for way in ways.values():
            way(warm, 10**5)
        for round_ in range(args.rounds):
            names = list(ways)[round_ % len(ways) :] + list(ways)[: round_ % len(ways)]
            for name in names:
                _keep(results, workload, name, round_, ways[name](workload, round_))
                _save(args, results)
        if not args.seconds:
            return
        for row in interactive(server, running.endpoint, workload, work, cores, args.seconds):
            results["interactive"].append(row)
            _save(args, results)
            _say(f"interactive, {row['condition']}: {row['ttft_ms']}")


def _measure_ray_data(
    workload: Workload, model: Path, work: Path, args: argparse.Namespace, results: dict[str, Any]
) -> None:
    """Ray Data and `LLM.generate`, one after the other: each loads an engine of its own."""
    with Offline(model, work) as offline:
        for round_ in range(args.rounds):
            made = ray_data(PEERS, model, work, workload, round_)
            _keep(results, workload, RAY_DATA, 1000 + round_, made)
            _keep(results, workload, OFFLINE, 1000 + round_, offline.run(workload, round_))
            _save(args, results)


def _keep(results: dict[str, Any], workload: Workload, who: str, round_: int, made: Made) -> None:
    expected = workload.prompts * workload.tokens
    if made.tokens != expected:
        raise ValueError(f"{who} made {made.tokens} tokens, not {expected}")
    results["samples"].append(
        {
            "workload": workload.name,
            "who": who,
            "round": round_,
            "tokens": made.tokens,
            "seconds": made.seconds,
            "tokens_per_s": made.tokens_per_s,
            "digest": made.digest,
        }
    )
    _say(f"{workload.name}: {who}: {made.tokens_per_s:.0f} tokens/s")


def _save(args: argparse.Namespace, results: dict[str, Any]) -> Path | None:
    return save("batch", compared(results), args.json, publish=args.write_readme)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="of each interactive measurement; 0: none"
    )
    parser.add_argument(
        "--ray-data", action="store_true", help="with Ray Data (benchmarks/serving/peers.sh)"
    )
    parser.add_argument("--only-ray-data", action="store_true")
    parser.add_argument("--json", type=Path, help="where all measurements go")
    parser.add_argument("--add-to", type=Path, help="go on with the measurements of this file")
    parser.add_argument("--write-readme", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
