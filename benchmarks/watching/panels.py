"""What the dashboards of cluster/grafana ask. Knows their files, not who answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DASHBOARDS = tuple(
    sorted((Path(__file__).parents[2] / "cluster" / "grafana" / "dashboards").glob("*.json"))
)

# What Grafana puts in their place.
_VARIABLES = {"$model": ".*", "$__rate_interval": "1m"}


def panels(dashboard: Path) -> list[dict[str, Any]]:
    """All panels of a dashboard, rows too."""
    found: list[dict[str, Any]] = json.loads(dashboard.read_text())["panels"]
    return found


def shown() -> Iterator[tuple[str, str]]:
    """Every expression of all dashboards as Prometheus gets it, behind where it stands."""
    for dashboard in DASHBOARDS:
        for panel in panels(dashboard):
            for target in panel.get("targets", ()):
                yield f"{dashboard.stem}: {panel['title']}: {target['refId']}", plain(target["expr"])


def plain(expression: str) -> str:
    """An expression without Grafana's variables."""
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression
