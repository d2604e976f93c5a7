"""Every YAML of the packages is tidy."""

from pathlib import Path

import pytest

RULES = """
extends: default
rules:
  line-length: disable
  braces: {max-spaces-inside: 0}
  document-start: disable
  indentation: {indent-sequences: whatever}
  truthy: {check-keys: false}
  comments: {min-spaces-from-content: 1}
"""
PLACES = ("docker-compose.yml", "cluster/docker", "cluster/ray", "cluster/prometheus", "configs/profiles")


def test_yamllint_finds_nothing(root: Path) -> None:
    linter = pytest.importorskip("yamllint.linter", reason="YAML IS NOT LINTED: no yamllint")
    from yamllint.config import YamlLintConfig

    rules = YamlLintConfig(RULES)
    paths = [
        path
        for place in PLACES
        for path in ([root / place] if (root / place).is_file() else (root / place).glob("*.y*ml"))
    ]
    paths += [root / "cluster/helm/zoran" / name for name in ("Chart.yaml", "values.yaml")]
    assert len(paths) > 12
    found = [f"{path}: {problem}" for path in paths for problem in linter.run(path.read_text(), rules)]
    assert found == []
