"""The data in cluster/prometheus and cluster/grafana speaks of metrics that exist."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from zoran_ray.telemetry import names

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "cluster" / "prometheus"
GRAFANA = ROOT / "cluster" / "grafana"
DASHBOARD = GRAFANA / "dashboards" / "zoran.json"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not on PATH (Debian: apt-get install prometheus)"
)

# Source: vllm 0.32, vllm/v1/metrics/loggers.py; Prometheus adds `_total` to counters.
VLLM_METRICS = {
    "vllm:kv_cache_usage_perc",
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:prefix_cache_hits_total",
    "vllm:prefix_cache_queries_total",
}


def panels() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return panels


def expressions() -> Iterator[str]:
    for panel in panels():
        yield from (target["expr"] for target in panel.get("targets", ()))
    for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def metrics_in(expression: str) -> set[str]:
    return {
        re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"(?:zoran_|vllm:)\w+", expression)
    }


def test_every_metric_asked_for_exists() -> None:
    asked = set().union(*map(metrics_in, expressions()))
    assert asked <= names.METRICS | VLLM_METRICS


def test_the_dashboard_shows_every_metric_of_ours() -> None:
    shown = set().union(*(metrics_in(t["expr"]) for p in panels() for t in p.get("targets", ())))
    assert shown >= names.METRICS


def test_label_values_in_expressions_are_known() -> None:
    known = names.ERROR_CODES | {
        *names.REPLICA_STATES,
        *names.TOKEN_KINDS,
        "4xx",
        "5xx",
        "zoran",
        "$model",
    }
    for expression in expressions():
        for values in re.findall(r'=~?"([^"]*)"', expression):
            assert set(values.split("|")) <= known, expression


def test_panels_have_distinct_ids_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    cells = [
        (x, y)
        for g in (panel["gridPos"] for panel in panels())
        for x in range(g["x"], g["x"] + g["w"])
        for y in range(g["y"], g["y"] + g["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_every_alert_says_what_to_do() -> None:
    (group,) = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    for rule in group["rules"]:
        assert {"summary", "action"} <= rule["annotations"].keys(), rule["alert"]


def test_provisioning_is_what_grafana_reads() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/zoran.yml").read_text())["providers"]
    assert source["type"] == "prometheus"
    assert provider["options"]["path"]


@needs_promtool
def test_promtool_accepts_config_and_rules() -> None:
    subprocess.run(
        [str(PROMTOOL), "check", "config", PROMETHEUS / "prometheus.yml"], check=True, timeout=30
    )


@needs_promtool
def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    for source in (PROMETHEUS / "rules.yml", Path(__file__).with_name("rules_test.yml")):
        shutil.copy(source, tmp_path)
    command = [str(PROMTOOL), "test", "rules", tmp_path / "rules_test.yml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
