"""Dashboards speak of metrics that exist, show all of ours, and are what Grafana reads."""

import re
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
import yaml

from benchmarks.watching.panels import DASHBOARDS, panels, shown
from serve_apps.gateway.ray_metrics import FAMILIES
from tests.cluster.watching import GRAFANA, rules
from zoran_ray.batch.job import Status
from zoran_ray.telemetry import names

OURS = names.METRICS | frozenset(names.FIGURES) | names.TASK_METRICS
# Source: vllm 0.32, vllm/v1/metrics/loggers.py; Prometheus adds `_total` to counters.
VLLM = {
    "vllm:generation_tokens_total",
    "vllm:kv_cache_usage_perc",
    "vllm:num_preemptions_total",
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:prefix_cache_hits_total",
    "vllm:prefix_cache_queries_total",
}
PREFIXES = ("zoran_", "vllm:", "gen_ai_", "ray_serve_")
LABEL_VALUES = names.ERROR_CODES | {
    *names.REPLICA_STATES,
    *names.TOKEN_KINDS,
    *names.LINE_STATES,
    *get_args(Status),
    *names.STABILITY_PARTS,
    *names.LESSON_KINDS,
    *("4xx", "5xx", "zoran", ".*", "awaiting_human", "failed"),
}


@cache
def recorded() -> frozenset[str]:
    return frozenset(rule["record"] for rule in rules("record"))


def expressions() -> list[str]:
    return [expression for _, expression in shown()] + [
        rule["expr"] for kind in ("alert", "record") for rule in rules(kind)
    ]


def metrics_in(expression: str) -> set[str]:
    """Names of metrics and of what is recorded, without the suffixes of histograms."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(by|on|ignoring|without) ?\([^)]*\)", "", expression)
    words = set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare))
    found = {word for word in words if word.startswith(PREFIXES) or ":" in word}
    return {re.sub(r"_(bucket|sum|count)$", "", name) if name not in recorded() else name for name in found}


def test_there_are_three_with_names_of_their_own() -> None:
    assert [each.stem for each in DASHBOARDS] == ["routing", "serving", "state"]
    boards = [yaml.safe_load(each.read_text()) for each in DASHBOARDS]
    assert len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) == 3


def test_every_metric_asked_for_exists() -> None:
    asked = set().union(*map(metrics_in, expressions()))
    assert asked <= OURS | VLLM | names.GEN_AI_METRICS | set(FAMILIES) | recorded()


def test_they_show_every_metric_of_ours() -> None:
    by_record = {rule["record"]: metrics_in(rule["expr"]) for rule in rules("record")}
    seen = set().union(*(metrics_in(expression) for _, expression in shown()))
    while more := set().union(*(by_record.get(name, set()) for name in seen)) - seen:
        seen |= more
    assert seen >= OURS


def test_what_is_recorded_is_used() -> None:
    assert recorded() <= set().union(*map(metrics_in, expressions()))


def test_label_values_are_known() -> None:
    for expression in expressions():
        for values in re.findall(r'=~?"([^"]*)"', expression):
            assert set(values.split("|")) <= LABEL_VALUES, expression


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_have_ids_of_their_own_and_do_not_overlap(dashboard: Path) -> None:
    ids = [panel["id"] for panel in panels(dashboard)]
    assert len(ids) == len(set(ids))
    cells = [
        (x, y)
        for g in (panel["gridPos"] for panel in panels(dashboard))
        for x in range(g["x"], g["x"] + g["w"])
        for y in range(g["y"], g["y"] + g["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_provisioning_is_what_grafana_reads() -> None:
    source_file = GRAFANA / "provisioning/datasources/prometheus.yml"
    (source,) = yaml.safe_load(source_file.read_text())["datasources"]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/zoran.yml").read_text())["providers"]
    assert source["type"] == "prometheus"
    assert provider["options"]["path"]
