"""`zoran tools` and `zoran mcp`."""

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.integration.sandbox_place import host, made, nothing_left, require_docker
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


def served(config: Path, told: Path) -> McpServer:
    """`zoran mcp serve` with this configuration; what it says on stderr goes into a file."""
    words = [sys.executable, "-m", "zoran_ray.cli", "mcp", "serve", "--config", str(config)]
    command = ["sh", "-c", 'exec "$@" 2>"$0"', str(told), *words]
    given = {name: os.environ.get(name, "") for name in ("PYTHONPATH", "ZORAN_STATE_DIR")}
    return McpServer("ours", partial(stdio_transport, command, given), times=McpTimes(60, 60))


async def test_the_allowed_tools_are_served_and_each_call_is_told(state_dir: Path) -> None:
    config, told = state_dir.parent / "zoran.yaml", state_dir.parent / "told"
    config.write_text("tools: {}\n")
    server = served(config, told)
    assert [tool.name for tool in await server.tools()] == ["ours_calculator"]
    assert (await server.call("calculator", {"expression": "6 * 7"})).text.endswith("42")
    await server.close()
    assert "in no journal" in told.read_text()
    assert "tool.call calculator ok, " in told.read_text()
    assert "6 * 7" not in told.read_text()


async def test_what_is_left_out_is_named_with_its_reason(state_dir: Path) -> None:
    config, told, folder = (state_dir.parent / name for name in ("zoran.yaml", "told", "docs"))
    policy = state_dir.parent / "policy.yaml"
    policy.write_text(
        "tools:\n  permissions: [local, network, code, memory]\n  forbid: [calculator]\n"
        "  grants: {mcp: {tools: ['*'], permissions: [local, code, memory]}}\n"
    )
    folder.mkdir()
    allowed = ["calculator", "code", "memory", "fetch", "search_files", "nowhere"]
    tools = {"allowed": allowed, "permissions": ["local", "code", "memory"]}
    chosen = {"tools": tools, "agents": {"folder": str(folder)}, "autopilot": {"policy_file": str(policy)}}
    config.write_text(json.dumps(chosen))
    server = served(config, told)
    assert [tool.name for tool in await server.tools()] == ["ours_search_files"]
    seen = await server.call("search_files", {"question": "Which port?"})
    assert not seen.ok
    await server.close()
    lines = dict(line[10:].split(". ", 1) for line in told.read_text().splitlines() if "Left out: " in line)
    assert set(lines) == set(allowed) - {"search_files"}
    for name, words in {
        "calculator": "policy does not grant it",
        "code": "zoran sandbox build",
        "memory": "running server",
        "fetch": "tools.permissions",
        "nowhere": "No installed package",
    }.items():
        assert words in lines[name]
    assert "zoran rag index" in told.read_text(), "why the search failed, for the operator"


async def test_files_are_searched_without_a_server(state_dir: Path, zoran: Callable[..., Any]) -> None:
    config, told, folder = (state_dir.parent / name for name in ("mine.yaml", "told", "docs"))
    folder.mkdir()
    (folder / "a.md").write_text("# Ports\nThe gateway listens on port 8080.\n")
    assert zoran("rag", "index", str(folder)).exit_code == 0
    config.write_text(
        json.dumps({"tools": {"allowed": ["search_files"]}, "agents": {"folder": str(folder)}})
    )
    server = served(config, told)
    await server.tools()
    seen = await server.call("search_files", {"question": "On which port does the gateway listen?"})
    await server.close()
    assert "a.md:1-2" in seen.text


@pytest.mark.docker
async def test_code_runs_in_a_container_without_a_server(state_dir: Path) -> None:
    require_docker()
    config, told = state_dir.parent / "zoran.yaml", state_dir.parent / "told"
    place = made(state_dir)
    tools = {"allowed": ["code"], "permissions": ["code"]}
    config.write_text(json.dumps({"tools": tools, "sandbox": {"docker_host": host()}}))
    with nothing_left(place.deployment):
        server = served(config, told)
        assert [tool.name for tool in await server.tools()] == ["ours_code"]
        seen = await server.call("code", {"code": "import os\nprint(6 * 7, os.getuid())"})
        await server.close()
        assert (seen.ok, seen.text.strip()) == (True, "42 65534")
    assert "tool.call code ok, " in told.read_text()
