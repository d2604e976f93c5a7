"""`python -m benchmarks.memory`: journal, `Z5::`, privacy and memory, beside their references.

python -m benchmarks.memory --data FILE.jsonl[.gz] --json OUT
python -m benchmarks.memory --quick
"""

import os

# Before numpy: everything here is measured on one core.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.memory import journal, kills, million, pii, rest, shards, store, z5
from benchmarks.memory.report import markdown
from benchmarks.readme import README, link, save, write_into

PARTS = ("journal", "z5", "rest", "pii", "store", "shards", "million", "kills")


def main() -> int:
    """Measure one part after the other, print, write what was asked for."""
    args = _arguments()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    results: dict[str, Any] = {
        "started": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "machine": f"{platform.platform()}, one core of {os.cpu_count()}",
    }
    for name, measure in _measures(args).items():
        if name in args.only:
            print(f"{name} …", file=sys.stderr)
            results[name] = measure()
    _write(results, args)
    return 0


def _measures(args: argparse.Namespace) -> dict[str, Callable[[], dict[str, Any]]]:
    quick = args.quick
    return {
        "journal": lambda: journal.measure(10_000 if quick else 1_000_000),
        "z5": lambda: z5.measure(args.data, 1 if quick else 5),
        "pii": lambda: pii.measure(200, 20, 1) if quick else pii.measure(),
        "store": lambda: store.measure(1000) if quick else store.measure(100_000),
        "shards": lambda: shards.measure(2000, 20) if quick else shards.measure(),
        "rest": lambda: rest.measure(args.data),
        "million": lambda: million.measure(3000, queries=10) if quick else million.measure(),
        "kills": lambda: kills.measure(2 if quick else kills.KILLS),
    }


def _write(results: dict[str, Any], args: argparse.Namespace) -> None:
    data = save("memory", results, args.json, publish=args.write_readme)
    text = markdown(results, link(data) if data else None)
    print(text)
    if args.write_readme:
        write_into(README, "memory", text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, help="`.jsonl[.gz]` with a `prompt` a line; none: made-up ones"
    )
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--write-readme", action="store_true", help="also benchmarks/README.md and results/"
    )
    parser.add_argument("--quick", action="store_true", help="little of everything: shows that it runs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
