"""Results of routing as Markdown."""

import math
from typing import Any

from benchmarks.readme import table
from benchmarks.routing import gateway

_PEER = "paretobandit"
_MOST_SPENT = 1.004
_LEAST_RECOVERY, _ADAPTED, _ADOPTED = 0.975, 52, 142


def markdown(results: dict[str, Any], data: str | None = None, plot: str | None = None) -> str:
    """The whole section.

    Args:
        data: Link to the JSON file.
        plot: Link to the picture.
    """
    prior = ", ".join(f"{name} {value}" for name, value in results["prior"].items())
    told = [f"Run of {results['started'][:10]}, {results['machine']}. Prior of every arm: {prior}."]
    if data and plot:
        told += [f"[Every single seed]({data}).", f"![reward by budget]({plot})"]
    for record in results["data"]:
        told += [f"### {record['name']}: {record['prompts']} prompts, {len(record['arms'])} arms"]
        told += [
            f"{record['seeds']} seeds, d = {record['size']}. Mean reward ± standard deviation of seeds."
        ]
        told += [
            _rewards(record),
            "Gain of zoran, with the 95 % interval of the paired bootstrap over seeds:",
        ]
        told += [_gains(record)]
        if record.get("scenarios"):
            told += ["What happens when the world changes:", _scenarios(record)]
    if timing := results.get("timing"):
        told += ["### Time of a decision and of an update", _timing(timing)]
    if whole := results.get("gateway"):
        told += ["### What `zoran/auto` costs a request", gateway.markdown(whole)]
    return "\n\n".join(told)


def _rewards(record: dict[str, Any]) -> str:
    names = [line["policy"] for line in record["budgets"][0]["lines"]]
    head = ["USD/request", *names, *record["budgets"][0]["hindsight"], "zoran: spent ÷ budget (worst seed)"]
    rows = []
    for row in record["budgets"]:
        cells = [f"{line['reward']:.4f} ± {line['reward_std']:.4f}" for line in row["lines"]]
        cells += [f"{value:.4f}" if math.isfinite(value) else "none" for value in row["hindsight"].values()]
        ours = row["lines"][0]
        spent = f"{ours['usd_ratio']:.4f} ({ours['usd_ratio_worst']:.4f})"
        over = "" if ours["usd_ratio"] <= _MOST_SPENT else " **over**"
        rows.append([f"{row['budget_usd']:.3g}", *cells, spent + over])
    return table(head, rows)


def _gains(record: dict[str, Any]) -> str:
    names = list(record["budgets"][0]["gains"])
    rows = []
    for row in record["budgets"]:
        cells = []
        for name in names:
            mean, low, high = row["gains"][name]
            sign = "**below**" if high < 0 else "" if low > 0 else "not certain"
            cells.append(f"{mean:+.4f} [{low:+.4f}, {high:+.4f}] {sign}".strip())
        rows.append([f"{row['budget_usd']:.3g}", *cells])
    return table(["USD/request", *(f"over {name}" for name in names)], rows)


def _scenarios(record: dict[str, Any]) -> str:
    head = ["scenario", "USD/request", "policy", "recovery", "detected after", "adapted after"]
    head += ["adopted after", "false alarms per 1,000", "spent ÷ budget"]
    rows = []
    for each in record["scenarios"]:
        rows.append(
            [
                each["scenario"],
                f"{each['budget_usd']:.3g}",
                each["policy"],
                f"{each['recovery']:.3f}" + _missed(each["recovery"] <= _LEAST_RECOVERY),
                _steps(each["detected_after"]),
                _steps(
                    each["adapted_after"], _ADAPTED if each["scenario"] == "silent degradation" else None
                ),
                _steps(each["adopted_after"], _ADOPTED),
                "–" if each["false_alarms"] is None else f"{each['false_alarms']:.2f}",
                f"{each['usd_ratio']:.3f}",
            ]
        )
    return table(head, rows)


def _steps(value: float | None, most: float | None = None) -> str:
    return "–" if value is None else f"{value:g}" + _missed(most is not None and value >= most)


def _missed(missed: bool) -> str:
    return " **missed**" if missed else ""


def _timing(timing: dict[str, dict[str, dict[str, float]]]) -> str:
    kinds = [f"{what} p{q}" for what in ("choose", "learn") for q in (50, 99)]
    rows = [
        [what, name, *(f"{took[f'{kind.split()[0]}_us_{kind.split()[1]}']:.1f}" for kind in kinds)]
        for what, policies in timing.items()
        for name, took in policies.items()
    ]
    return table(["", "policy", *(f"{kind}, µs" for kind in kinds)], rows)
