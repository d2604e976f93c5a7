"""`zoran tools` and `zoran mcp`."""

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from zoran_ray.tools.mcp_client import McpServer, McpTimes
from zoran_ray.tools.mcp_stdio import stdio_transport


def test_tools_are_shown_with_what_they_reach(zoran: Callable[..., Any]) -> None:
    rows = json.loads(zoran("tools", "list", "--json").stdout)
    shown = {row["name"]: (row["permission"], row["allowed"]) for row in rows}
    assert shown["calculator"] == ("local", True)
    assert shown["fetch"] == ("network", False)
    assert "REACHES" in zoran("tools", "list").stdout


def test_a_tool_is_off_until_it_is_allowed(zoran: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "zoran.yaml"
    file.write_text("# mine\nlog:\n  level: debug")
    assert zoran("tools", "allow", "fetch", input="n\n").exit_code == 1
    assert "tools" not in file.read_text()
    result = zoran("tools", "allow", "fetch", "--yes")
    assert result.exit_code == 0
    assert "reaches: network" in result.stdout
    assert file.read_text().startswith("# mine\nlog:\n  level: debug\ntools:\n")
    rows = json.loads(zoran("tools", "list", "--json").stdout)
    assert {row["name"]: row["allowed"] for row in rows} == {
        "calculator": True, "fetch": True, "code": False, "memory": False,
        "search_files": False,
    }  # fmt: skip
    result = zoran("tools", "allow", "fetch", "--yes")
    assert result.exit_code == 3
    assert "allowed: [calculator, fetch]" in result.stderr
    assert zoran("tools", "allow", "nothing", "--yes").exit_code == 1


async def test_the_allowed_tools_are_served(state_dir: Path) -> None:
    command = [sys.executable, "-m", "zoran_ray.cli", "mcp", "serve"]
    given = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    server = McpServer("ours", partial(stdio_transport, command, given), times=McpTimes(60, 60))
    assert [tool.name for tool in await server.tools()] == ["ours_calculator"]
    assert (await server.call("calculator", {"expression": "6 * 7"})).text.endswith("42")
    await server.close()
