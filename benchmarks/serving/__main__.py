"""`python -m benchmarks.serving`: the whole serving benchmark in one interleaved run.

python -m benchmarks.serving                               everything, three rounds
python -m benchmarks.serving --only zoran,bare --quick     some contenders, briefly
python -m benchmarks.serving --soak-minutes 30
python -m benchmarks.serving --only zoran --keep FILE.json     the rest from an earlier run
"""

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.readme import README, link, write_into
from benchmarks.serving.bench import ROOT, Bench, Settings
from benchmarks.serving.connections import connection_memory
from benchmarks.serving.contender import Workplace
from benchmarks.serving.engines import STARTS, measure_engines
from benchmarks.serving.gateways import ZORAN, gateways, measure_gateways
from benchmarks.serving.plot import draw
from benchmarks.serving.report import markdown
from benchmarks.serving.results import Results, new_results
from benchmarks.serving.soak import soak
from zoran_ray.pocket import MODEL_DIR

PARTS = (*STARTS, "gateway", "litellm", "memory", "soak")


def main() -> int:
    """Measure, write JSON, table and picture. 1 if a contender failed."""
    # Whoever ends this ends what it has started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args = _arguments()
    settings = _settings(args)
    stem = f"serving-{datetime.now(UTC):%Y-%m-%d}"
    data = args.out / f"{stem}.json"
    logs = Path(tempfile.mkdtemp(prefix="zoran-bench-"))
    work = Workplace(logs, ROOT / "benchmarks" / ".peers", args.model.absolute())
    results = new_results({**asdict(settings), "only": list(args.only), "model": args.model.name})
    bench = Bench(settings, work, results, data)
    bench.say(f"logs of everything started: {logs}")
    for round_ in range(settings.rounds):
        bench.say(f"round {round_ + 1} of {settings.rounds}")
        measure_engines(bench, args.only, round_)
        _gateway_session(bench, args.only, round_)
    if args.keep:
        results.keep(Results.load(args.keep))
    bench.save()
    picture = args.out / f"{stem}.png"
    draw(results, picture)
    text = markdown(results, link(data), link(picture))
    if args.write_readme:
        write_into(README, "serving", text)
    print(text)
    if results.failures:
        bench.say(f"{len(results.failures)} failed; their logs are kept in {logs}")
        return 1
    shutil.rmtree(logs)
    return 0


def _gateway_session(bench: Bench, chosen: Sequence[str], round_: int) -> None:
    """Part 2 in every round, part 3 in the last one."""
    if not {"gateway", "litellm", "memory", "soak"} & set(chosen):
        return
    last = round_ == bench.settings.rounds - 1
    with bench.trying("gateway"), gateways(bench, chosen, round_) as endpoints:
        ours = endpoints.get(ZORAN)
        if ours and last and "memory" in chosen:
            bench.results.connections = connection_memory(ours, bench.settings.memory_connections)
        if {"gateway", "litellm"} & set(chosen):
            measure_gateways(bench, endpoints, round_)
        if ours and last and "soak" in chosen:
            bench.results.soak = soak(bench, ours, bench.settings.soak_minutes)


def _settings(args: argparse.Namespace) -> Settings:
    settings = Settings(
        rounds=args.rounds, turns=args.turns, seconds=args.seconds, soak_minutes=args.soak_minutes
    )
    if args.quick:
        return replace(settings, rounds=1, turns=1, seconds=2.0, warmup_s=0.5, soak_minutes=0.5)
    return settings


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=2, help="measurements of each cell in each round")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of one measurement")
    parser.add_argument("--only", type=_parts, default=PARTS, metavar="PART,…", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="one short round: does it work at all")
    parser.add_argument("--soak-minutes", type=float, default=5.0)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="take what is not chosen from this run")
    parser.add_argument("--model", type=Path, default=MODEL_DIR, help="folder of the model to serve")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument(
        "--no-readme", dest="write_readme", action="store_false", help="only print the table"
    )
    return parser.parse_args()


def _parts(text: str) -> tuple[str, ...]:
    chosen = tuple(part.strip() for part in text.split(","))
    if unknown := [part for part in chosen if part not in PARTS]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(PARTS)}")
    return ("gateway", *chosen) if {"memory", "soak"} & set(chosen) and "gateway" not in chosen else chosen


if __name__ == "__main__":
    sys.exit(main())
