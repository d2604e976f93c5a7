"""`python -m benchmarks.watching.plot URL FOLDER`: each dashboard as a picture, from Prometheus at URL.

For whoever has no Grafana at hand. Titles, expressions and legends are the dashboards' own; units are not.
"""

import argparse
import math
import re
import time
from pathlib import Path
from typing import Any

import httpx
import matplotlib

from benchmarks.watching.panels import DASHBOARDS, panels, plain

matplotlib.use("agg")

COLUMNS = 4
_POINTS = 120


def plot(dashboard: Path, prometheus: httpx.Client, last_s: float, folder: Path) -> Path:
    """One picture of the last `last_s` seconds.

    Returns:
        Where it is.
    """
    from matplotlib import pyplot

    shown = [panel for panel in panels(dashboard) if panel["type"] != "row"]
    rows = math.ceil(len(shown) / COLUMNS)
    figure, axes = pyplot.subplots(rows, COLUMNS, figsize=(4 * COLUMNS, 2.4 * rows), squeeze=False)
    for place in axes.flat[len(shown) :]:
        place.set_axis_off()
    for panel, place in zip(shown, axes.flat, strict=False):
        place.set_title(panel["title"], fontsize=8)
        place.tick_params(labelsize=6)
        for target in panel["targets"]:
            for label, times, values in _lines(prometheus, target, last_s):
                place.plot(times, values, label=label, linewidth=1)
        if place.get_legend_handles_labels()[0]:
            place.legend(fontsize=5)
    figure.tight_layout()
    path = folder / f"{dashboard.stem}.png"
    figure.savefig(path, dpi=70)
    pyplot.close(figure)
    return path


def _lines(
    prometheus: httpx.Client, target: dict[str, Any], last_s: float
) -> list[tuple[str, list[float], list[float]]]:
    """Of each series its label, seconds before now, and values."""
    now = time.time()
    asked: dict[str, str | float] = {
        "query": plain(target["expr"]), "start": now - last_s, "end": now, "step": last_s / _POINTS
    }  # fmt: skip
    answer = prometheus.get("/api/v1/query_range", params=asked)
    answer.raise_for_status()
    return [
        (
            _legend(target["legendFormat"], row["metric"]),
            [float(at) - now for at, _ in row["values"]],
            [float(value) for _, value in row["values"]],
        )
        for row in answer.json()["data"]["result"]
    ]


def _legend(form: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda name: labels.get(name[1], ""), form).strip()[:40]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="where Prometheus is, such as http://127.0.0.1:9090")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--last", type=float, default=900.0, help="seconds (%(default)s)")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with httpx.Client(base_url=asked.url, timeout=30) as prometheus:
        for dashboard in DASHBOARDS:
            print(plot(dashboard, prometheus, asked.last, asked.folder))


if __name__ == "__main__":
    main()
