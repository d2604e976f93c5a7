"""The picture of a run: tokens per second through each path, requests per second of each gateway.

It brings its own light background, so it can be read on a dark page too.
"""

from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.serving import engines, gateways
from benchmarks.serving.figures import requests_per_s, spread, tokens_per_s
from benchmarks.serving.results import Results

# Okabe and Ito's palette: told apart without colour vision too.
COLOURS = (
    "#0072B2",
    "#56B4E9",
    "#009E73",
    "#E69F00",
    "#D55E00",
    "#CC79A7",
    "#999999",
    "#F0E442",
    "#332288",
    "#882255",
)


def draw(results: Results, path: Path) -> None:
    """Write a PNG."""
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 5.2), dpi=110, facecolor="white")
    _streams(results, left)
    _requests(results, right)
    for axes in (left, right):
        axes.set_facecolor("white")
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7.5, frameon=False, loc="best")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)


def _streams(results: Results, axes: Any) -> None:
    levels = results.settings["streams"]
    names = _names(results, engines.PART)
    width = 0.85 / max(len(names), 1)
    for place, name in enumerate(names):
        cells = [spread(results, engines.PART, name, "stream", level, tokens_per_s) for level in levels]
        found = [(x, cell) for x, cell in enumerate(cells) if cell]
        axes.bar(
            [x + (place - (len(names) - 1) / 2) * width for x, _ in found],
            [cell.median for _, cell in found],
            width,
            yerr=[
                [cell.median - cell.low for _, cell in found],
                [cell.high - cell.median for _, cell in found],
            ],
            error_kw={"linewidth": 0.8},
            label=name,
            color=COLOURS[place % len(COLOURS)],
        )
    axes.set_xticks(range(len(levels)), [str(level) for level in levels])
    axes.set_xlabel("streams at once")
    axes.set_title("tokens per second from the engine", fontsize=10)


def _requests(results: Results, axes: Any) -> None:
    for place, name in enumerate(_names(results, gateways.PART)):
        cells = [
            (level, cell)
            for level in results.settings["connections"]
            if (cell := spread(results, gateways.PART, name, "json", level, requests_per_s))
        ]
        levels, medians = [level for level, _ in cells], [cell.median for _, cell in cells]
        axes.plot(levels, medians, marker="o", label=name, color=COLOURS[place % len(COLOURS)])
        low, high = [cell.low for _, cell in cells], [cell.high for _, cell in cells]
        axes.fill_between(levels, low, high, color=COLOURS[place % len(COLOURS)], alpha=0.2, linewidth=0)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(results.settings["connections"], [str(n) for n in results.settings["connections"]])
    axes.set_xlabel("connections")
    axes.set_title("requests per second on a no-op back end", fontsize=10)


def _names(results: Results, part: str) -> list[str]:
    return list(dict.fromkeys(sample.contender for sample in results.samples if sample.part == part))
