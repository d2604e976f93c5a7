"""Prometheus's own tool takes configuration, rules and panels; alerts fire when they should."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer.main
import yaml

from benchmarks.watching.panels import DASHBOARDS, shown
from tests.cluster.conftest import Render
from tests.cluster.watching import PROMETHEUS, ROOT, RULES, binary, rules
from zoran_ray.cli.app import app

SEVERITIES = {"critical", "warning", "info"}
WATCHED = {
    "monitoring": {"enabled": True},
    "secrets": {"rayToken": "zoran-ray-token", "metricsKey": "zoran-metrics-key"},
}


def promtool(*words: str | Path) -> None:
    """Runs it; it must be content."""
    command = [binary("promtool"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("place", ["prometheus", "docker"])
def test_the_configuration_is_taken(place: str, tmp_path: Path) -> None:
    for source in (ROOT / "cluster" / place / "prometheus.yml", RULES):
        shutil.copy(source, tmp_path)
    # The secret's file is the container's.
    promtool("check", "config", "--syntax-only", tmp_path / "prometheus.yml")
    promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


def test_every_expression_of_the_dashboards_can_be_parsed(tmp_path: Path) -> None:
    recorded = [{"record": f"shown:{number}", "expr": expr} for number, (_, expr) in enumerate(shown())]
    assert len(recorded) > 60
    path = tmp_path / "shown.yml"
    path.write_text(json.dumps({"groups": [{"name": "shown", "rules": recorded}]}))
    promtool("check", "rules", path)


def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    cases = Path(__file__).with_name("rules_test.yml")
    for source in (RULES, cases):
        shutil.copy(source, tmp_path)
    promtool("test", "rules", tmp_path / cases.name)
    # An alert that was never seen to fire may not be able to.
    fired = set(re.findall(r'alertname="(\w+)"', cases.read_text()))
    assert fired == {rule["alert"] for rule in rules("alert")}


def test_every_alert_says_what_to_do() -> None:
    for rule in rules("alert"):
        assert set(rule["annotations"]) == {"summary", "runbook"}, rule["alert"]
        assert rule["labels"]["severity"] in SEVERITIES


def test_commands_of_runbooks_exist() -> None:
    root = typer.main.get_command(app)
    said = {
        command
        for rule in rules("alert")
        for command in re.findall(r"`zoran ([a-z -]+)`", " ".join(rule["annotations"]["runbook"].split()))
    }
    assert len(said) > 5
    for command in said:
        found = root
        for word in command.split():
            assert word in found.commands, f"there is no `zoran {command}`"
            found = found.commands[word]


def test_both_configurations_differ_in_places_alone() -> None:
    own, docker = (
        re.sub(r"(?m)^\s*#.*\n|authorization:\n\s+credentials_file: .*\n|targets: .*", "", path.read_text())
        for path in (PROMETHEUS / "prometheus.yml", ROOT / "cluster/docker/prometheus.yml")
    )
    assert own.split() == docker.split()


def test_the_chart_ships_the_same_rules_and_dashboards(helm: Render) -> None:
    objects = helm(WATCHED)
    (rule,) = (each for each in objects if each["kind"] == "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(RULES.read_text())
    (boards,) = (each for each in objects if each["metadata"]["name"].endswith("-dashboards"))
    assert boards["data"] == {f"zoran-{path.name}": path.read_text() for path in DASHBOARDS}
