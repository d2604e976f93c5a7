"""What tests of the packages share: where things are, and Helm, where there is one."""

import importlib.util
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "cluster/helm/zoran"
_HELM_S = 120

Render = Callable[[dict[str, Any]], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def helm() -> Render:
    """Renders the chart with values by Helm itself; a `ValueError` holds what Helm says against them."""
    if shutil.which("helm"):
        return _by_binary
    if importlib.util.find_spec("helm_python"):
        return _by_library
    pytest.skip("THE CHART IS NOT CHECKED: there is no `helm`, and no package helm-python-sdk")


def _by_binary(values: dict[str, Any]) -> list[dict[str, Any]]:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(values, file)
        file.flush()
        for command in (["lint", "--strict"], ["template", "zoran"]):
            done = subprocess.run(
                ["helm", *command, str(CHART), "--values", file.name, "--kube-version", "1.30.0"],
                capture_output=True,
                text=True,
                timeout=_HELM_S,
                check=False,
            )
            if done.returncode:
                raise ValueError(done.stderr + done.stdout)
    return _documents(done.stdout)


def _by_library(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Helm's own Go code behind a C interface: the same templates, schema and lint."""
    from helm_python import Chart, HelmError, lint

    try:
        with Chart.load(CHART) as chart:
            texts = chart.render(values, name="zoran")
        report = lint(CHART, values, strict=True)
    except HelmError as error:
        raise ValueError(str(error)) from None
    if report["errors"]:
        raise ValueError("\n".join(report["errors"]))
    return [each for name, text in texts.items() if name.endswith(".yaml") for each in _documents(text)]


def _documents(text: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(text) if each]
