"""`python -m benchmarks.routing`: routing against its peers on recorded rewards and costs.

python -m benchmarks.routing --data FILE.jsonl[.gz] --budgets 8.3e-5,6.6e-4 --seeds 20 --json OUT
python -m benchmarks.routing --data FILE --quick
"""

import argparse
import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.routing.at_budget import as_dict, gain, hindsight, lines_at
from benchmarks.routing.data import BadData, Record, load
from benchmarks.routing.timing import time_policies

BUDGETS = (8.3e-5, 2.35e-4, 6.6e-4, 1.88e-3, 5.3e-3, 1.5e-2)
_SIZES = ((26, 3), (385, 3), (385, 10))


def main() -> int:
    """Measure, print, write JSON. 2 if the data cannot be used."""
    args = _arguments()
    try:
        record = load(args.data, args.size)
    except (BadData, OSError, ValueError) as wrong:
        print(f"{args.data}: {wrong}", file=sys.stderr)
        return 2
    results = measure(record, args.budgets, range(args.seeds))
    if not args.no_timing:
        results["timing"] = {f"d={d}, {k} arms": time_policies(d, k) for d, k in _SIZES}
    print(markdown(results))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({"data": args.data.name, **results}, indent=1))
    return 0


def measure(record: Record, budgets: tuple[float, ...], seeds: range) -> dict[str, Any]:
    """Every policy at every budget."""
    rows = []
    for budget in budgets:
        lines = lines_at(record, budget, seeds)
        ours, others = lines[0], lines[1:]
        rows.append(
            {
                "budget_usd": budget,
                "lines": [as_dict(line) for line in lines],
                "gains": {line.policy: gain(ours, line) for line in others},
                "hindsight": hindsight(record, budget),
            }
        )
    return {
        "started": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "machine": platform.platform(),
        "prompts": len(record),
        "arms": list(record.arms),
        "size": int(record.x.shape[1]),
        "seeds": len(seeds),
        "budgets": rows,
    }


def markdown(results: dict[str, Any]) -> str:
    """The tables."""
    names = [line["policy"] for line in results["budgets"][0]["lines"]]
    told = [
        f"{results['prompts']} prompts, {len(results['arms'])} arms, {results['seeds']} seeds, "
        f"d = {results['size']}.",
        "",
    ]
    told += [
        "| budget, USD/request | "
        + " | ".join(names)
        + " | static mix in hindsight | best fixed | oracle | spent ÷ budget (worst seed) |"
    ]
    told += ["|---" * (len(names) + 5) + "|"]
    for row in results["budgets"]:
        cells = [f"{line['reward']:.4f} ± {line['reward_std']:.4f}" for line in row["lines"]]
        cells += [f"{value:.4f}" for value in row["hindsight"].values()]
        ours = row["lines"][0]
        told.append(
            f"| {row['budget_usd']:.3g} | "
            + " | ".join(cells)
            + f" | {ours['usd_ratio']:.4f} ({ours['usd_ratio_worst']:.4f}) |"
        )
    told += ["", "Gain of zoran, 95 % interval of the paired bootstrap over seeds:", ""]
    for row in results["budgets"]:
        gains = (f"{name} {g[0]:+.4f} [{g[1]:+.4f}, {g[2]:+.4f}]" for name, g in row["gains"].items())
        told.append(f"- {row['budget_usd']:.3g}: " + ", ".join(gains))
    for what, timed in results.get("timing", {}).items():
        told += ["", f"{what}, µs:"]
        told += [
            f"- {name}: " + ", ".join(f"{k} {v:.1f}" for k, v in t.items()) for name, t in timed.items()
        ]
    return "\n".join(told)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="prompts with each arm's reward and cost")
    parser.add_argument("--budgets", type=_numbers, default=BUDGETS, metavar="USD,…")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--size", type=int, default=64, help="entries of a prompt's vector")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-timing", action="store_true")
    return parser.parse_args()


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
