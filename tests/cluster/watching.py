"""Where Prometheus and Grafana have their files, the rules in them, and Prometheus's programs."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "cluster/prometheus"
GRAFANA = ROOT / "cluster/grafana"
RULES = PROMETHEUS / "rules.yml"


def binary(name: str) -> str:
    """Where `prometheus` or `promtool` is; skips, and says so, where it is not."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"PROMETHEUS IS NOT ASKED: no {name} on PATH (Debian: apt-get install prometheus)")
    return found


def rules(kind: str) -> list[dict[str, Any]]:
    """All rules of a kind: `alert` or `record`."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]
