"""`python -m benchmarks.routing`: routing against its peers on recorded rewards and costs.

python -m benchmarks.routing --data FILE.jsonl[.gz] --budgets 8.3e-5,6.6e-4 --seeds 20 --json OUT
python -m benchmarks.routing --quick
"""

import os

# Before numpy: a second thread gains nothing on vectors this small, and waits for the first.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import platform
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.readme import README, link, save, write_into
from benchmarks.routing import gateway
from benchmarks.routing.at_budget import measure
from benchmarks.routing.data import BadData, Record, load
from benchmarks.routing.plot import draw
from benchmarks.routing.report import markdown
from benchmarks.routing.scenarios import SCENARIOS, report
from benchmarks.routing.timing import time_policies
from benchmarks.routing.worlds import budgets_of, draw_world, make_record
from zoran_ray.routing import Prior

BUDGETS = (8.3e-5, 2.35e-4, 6.6e-4, 1.88e-3, 5.3e-3, 1.5e-2)
SIZES = ((26, 3), (385, 3), (385, 10), (385, 20))
PEERS = ("zoran", "paretobandit")


def main() -> int:
    """Measure, print, write what was asked for. 2 if the data cannot be used."""
    args = _arguments()
    try:
        sets = _data(args)
    except (BadData, OSError, ValueError) as wrong:
        print(wrong, file=sys.stderr)
        return 2
    seeds = range(2 if args.quick else args.seeds)
    results: dict[str, Any] = {
        "started": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "machine": f"{platform.platform()}, {os.cpu_count()} cores",
        "prior": asdict(Prior()),
        "data": [_measured(name, record, budgets, seeds, args) for name, record, budgets in sets],
    }
    if "timing" in args.only:
        results["timing"] = {f"d = {d}, {k} arms": time_policies(d, k) for d, k in SIZES}
    if "gateway" in args.only:
        results["gateway"] = gateway.measure(rounds=1 if args.quick else 5)
    _write(results, args)
    return 0


def _data(args: argparse.Namespace) -> list[tuple[str, Record, tuple[float, ...]]]:
    """Name, record and budgets of each set: the files there are, or one that is made up."""
    if args.data:
        return [(path.name, load(path, args.size), args.budgets or BUDGETS) for path in args.data]
    record = make_record(draw_world(0), 1500, args.size, seed=0)
    return [("made-up prompts, world 0", record, args.budgets or budgets_of(record, 6))]


def _measured(
    name: str, record: Record, budgets: tuple[float, ...], seeds: range, args: argparse.Namespace
) -> dict[str, Any]:
    print(f"{name}: {len(record)} prompts, {len(record.arms)} arms", file=sys.stderr)
    found = {"name": name, **measure(record, budgets, seeds)}
    if "scenarios" in args.only:
        # From the middle of the budgets, where there is a choice, to looser ones.
        chosen = budgets[len(budgets) // 3 :: 2]
        reports = [
            report(record, scenario, budget, seeds, policy)
            for scenario in SCENARIOS
            for budget in chosen
            for policy in PEERS
        ]
        found["scenarios"] = [asdict(each) for each in reports if each is not None]
    return found


def _write(results: dict[str, Any], args: argparse.Namespace) -> None:
    data = save("routing", results, args.json, publish=args.write_readme)
    picture = data.with_suffix(".png") if data else None
    if picture:
        draw(results, picture)
    text = markdown(results, link(data) if data else None, link(picture) if picture else None)
    print(text)
    if args.write_readme:
        write_into(README, "routing", text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ("scenarios", "timing", "gateway")
    parser.add_argument(
        "--data", type=Path, nargs="*", help="prompts with each arm's reward and cost; none: made-up ones"
    )
    parser.add_argument("--budgets", type=_numbers, metavar="USD,…", help="USD per request")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--size", type=int, default=64, help="entries of a prompt's vector")
    parser.add_argument("--json", type=Path, help="write results here, and a plot beside")
    parser.add_argument(
        "--only", nargs="*", choices=parts, default=("scenarios", "timing"), help="beside reward"
    )
    parser.add_argument(
        "--write-readme", action="store_true", help="also benchmarks/README.md and results/"
    )
    parser.add_argument("--quick", action="store_true", help="two seeds: shows that it runs, not more")
    return parser.parse_args()


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
