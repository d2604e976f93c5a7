"""The picture of a run: reward by budget. It brings its own light background."""

import math
from pathlib import Path
from typing import Any

import matplotlib as mpl

# Okabe and Ito's palette: told apart without colour vision too.
_STYLES = {
    "zoran": ("#0072B2", "-"),
    "paretobandit": ("#D55E00", "-"),
    "static mix, Thompson": ("#E69F00", "-"),
    "static mix, UCB": ("#CC79A7", "-"),
    "random": ("#999999", "-"),
    "static mix in hindsight": ("#E69F00", ":"),
    "best fixed arm": ("#999999", ":"),
    "oracle": ("#000000", ":"),
}


def draw(results: dict[str, Any], path: Path) -> None:
    """Write a PNG, a panel for each data set."""
    mpl.use("Agg")
    from matplotlib import pyplot

    sets = results["data"]
    size = (6.5 * len(sets), 5.2)
    figure, panels = pyplot.subplots(1, len(sets), figsize=size, dpi=110, facecolor="white", squeeze=False)
    for axes, record in zip(panels[0], sets, strict=True):
        _draw_set(axes, record)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)


def _draw_set(axes: Any, record: dict[str, Any]) -> None:
    budgets = [row["budget_usd"] for row in record["budgets"]]
    curves: dict[str, list[float]] = {}
    for row in record["budgets"]:
        for line in row["lines"]:
            curves.setdefault(line["policy"], []).append(line["reward"])
        for name, value in row["hindsight"].items():
            curves.setdefault(name, []).append(value if math.isfinite(value) else math.nan)
    for name, rewards in curves.items():
        colour, style = _STYLES[name]
        axes.plot(budgets, rewards, style, color=colour, marker="o", markersize=3, label=name)
    axes.set_xscale("log")
    axes.set_title(record["name"], fontsize=9)
    axes.set_xlabel("budget, USD per request")
    axes.set_ylabel("mean reward")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7.5, frameon=False)
