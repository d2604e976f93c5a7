"""Who may use which tool: read from the file, as it is now."""

from pathlib import Path

import pytest

from zoran_ray.errors import ConfigError
from zoran_ray.policy import MCP, ToolGate


def test_the_shipped_policy_leaves_tools_to_the_settings() -> None:
    for who in ("coder", "reasoner", "strategy:react", MCP):
        granted = ToolGate().grants(who)
        assert all(granted("any", permission) for permission in ("local", "network", "code", "memory"))
        assert not granted("any", "teleport")


def test_a_policy_that_says_nothing_of_tools_grants_none(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("mode_max: advisor\n")
    assert not ToolGate(file).grants("strategy:react")("calculator", "local")


def test_a_file_that_changes_is_read_again_and_one_that_breaks_grants_nothing(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    gate = ToolGate(file)
    with pytest.raises(ConfigError, match=r"p\.yaml"):
        gate.grants(MCP)
    file.write_text("tools: {permissions: [local], grants: {mcp: {tools: [a], permissions: [local]}}}\n")
    assert gate.grants(MCP)("a", "local")
    assert not gate.grants("coder")("a", "local")
    file.write_text(file.read_text().replace("tools: [a]", "tools: [bb]"))
    assert not gate.grants(MCP)("a", "local")
    file.write_text("tools: 7\n")
    with pytest.raises(ConfigError):
        gate.grants(MCP)
    file.unlink()
    with pytest.raises(ConfigError):
        gate.grants(MCP)
