"""`python -m benchmarks.routing.tuning`: how the hyper-parameters were chosen, on made-up worlds only.

Each setting routes the same prompts of the same worlds at three budgets each. What counts is the mean
reward above the best static mix in hindsight; the second figure is the tenth of cases that went worst.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import sys
from typing import Any

import numpy as np

from benchmarks.readme import README, table, write_into
from benchmarks.routing.data import Record
from benchmarks.routing.policies import StaticMix, Zoran, static_mix
from benchmarks.routing.replay import order, replay
from benchmarks.routing.worlds import budgets_of, draw_world, make_record

_SIZE, _PROMPTS, _BUDGETS = 64, 1500, 3
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"slopes": (0.0, 0.2)},
    {"slopes": (0.05,)},
    {"slopes": (0.2,)},
    {"slopes": (0.0, 0.05, 0.2)},
    {"slopes": (0.0, 0.02, 0.05, 0.12, 0.3)},
    {"exploration": 0.3},
    {"exploration": 1.0},
    {"spread": 0.2},
    {"spread": 0.4},
    {"quality": 0.6},
    {"quality": 0.9},
    {"remembered": 500.0},
    {"remembered": 1e9},
)
"""What differs from the settings that are shipped."""


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--write-readme", action="store_true")
    args = parser.parse_args()
    records = [make_record(draw_world(seed), _PROMPTS, _SIZE, seed) for seed in range(args.worlds)]
    rows = [_row("static mix, UCB", gains(records, None, args.seeds))]
    for setting in SETTINGS:
        told = ", ".join(f"{name} {value}" for name, value in setting.items())
        rows.append(_row(told or "**as shipped**", gains(records, setting, args.seeds)))
    text = table(["setting", "mean gain", "worst tenth"], rows)
    print(text)
    if args.write_readme:
        write_into(README, "tuning", text)
    return 0


def gains(records: list[Record], setting: dict[str, Any] | None, seeds: int) -> np.ndarray:
    """float64[worlds · budgets · seeds]: reward above the best static mix in hindsight."""
    found = []
    for record in records:
        prices = record.list_prices()
        for budget in budgets_of(record, _BUDGETS):
            for seed in range(seeds):
                policy = (
                    StaticMix(prices, budget, seed)
                    if setting is None
                    else Zoran(_SIZE, record.arms, prices, budget, seed, **setting)
                )
                run = replay(record, policy, order(record, seed))
                found.append(float(run.reward.mean()) - static_mix(record, budget))
    return np.array(found)


def _row(name: str, gain: np.ndarray) -> list[str]:
    return [name, f"{gain.mean():+.4f}", f"{np.percentile(gain, 10):+.4f}"]


if __name__ == "__main__":
    sys.exit(main())
