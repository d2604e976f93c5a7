"""MCP both ways, against a real server written with the official SDK."""

import asyncio
import os
import runpy
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from zoran_ray.errors import ConfigError, DeadlineExceeded, Unavailable, UpstreamError
from zoran_ray.tools.calculator import Calculator
from zoran_ray.tools.mcp_client import McpServer, McpTimes, Restarts
from zoran_ray.tools.mcp_stdio import stdio_transport
from zoran_ray.tools.toolbox import Toolbox

TINY = str(Path(__file__).with_name("tiny_mcp.py"))


def tiny(*args: str, **options: Any) -> Callable[[], Any]:
    return partial(stdio_transport, [sys.executable, TINY, *args], {"GIVEN": "+given"}, **options)


@pytest.fixture
async def server() -> AsyncIterator[McpServer]:
    made = McpServer("tiny", tiny(), times=McpTimes(start_s=60, call_s=60))
    yield made
    await made.close()


ENDLESS = "while True: print('x' * 65536, end='')"


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


async def test_its_tools_are_ours(server: McpServer) -> None:
    tools = {tool.name: tool for tool in await server.tools()}
    assert len(tools) == 9
    assert all(len(name) <= 64 for name in tools)
    assert sum(name.startswith("tiny_strange_name_yyy") for name in tools) == 1
    add = tools["tiny_add"]
    assert add.permission == "code"
    assert add.description.startswith(
        "A tool of the MCP server 'tiny', in its own words: Adds two numbers."
    )
    assert "\u200b" not in add.description
    box = Toolbox(tools.values(), tools, {"code"})
    for arguments, text in (({"a": 2, "b": 3}, "5"), ({"a": "x"}, "Wrong arguments")):
        seen = await box.call("tiny_add", arguments, deadline=time.monotonic() + 60)
        assert seen.text.startswith(text)
    seen = await box.call("tiny_fail", {}, deadline=time.monotonic() + 60)
    assert not seen.ok
    assert seen.text == "Error executing tool fail"


async def test_it_gets_none_of_our_variables(server: McpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZORAN_TEST_SECRET", "hidden")
    assert (await server.call("secret", {})).text == "none+given"


async def test_calls_share_one_process_and_it_ends_with_us(server: McpServer) -> None:
    pids = {(await server.call("pid", {})).text for _ in range(2)}
    together = await asyncio.gather(*(server.call("pid", {}) for _ in range(8)))
    assert {seen.text for seen in together} == pids
    await server.close()
    assert gone(int(pids.pop()))


async def test_one_that_dies_is_a_typed_error_and_is_started_again(server: McpServer) -> None:
    before = (await server.call("pid", {})).text
    with pytest.raises(UpstreamError):
        await server.call("die", {})
    after = (await server.call("pid", {})).text
    assert after != before
    os.kill(int(after), 9)
    while not gone(int(after)):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    # It died while nobody asked: the next call does not notice.
    assert (await server.call("pid", {})).text != after


async def test_one_that_dies_again_and_again_is_left_alone() -> None:
    now = [0.0]
    server = McpServer(
        "tiny", tiny(), times=McpTimes(60, 60), restarts=Restarts(2, 100.0), clock=lambda: now[0]
    )
    for _ in range(3):
        with pytest.raises(UpstreamError):
            await server.call("die", {})
    with pytest.raises(Unavailable, match="left alone") as caught:
        await server.call("pid", {})
    assert caught.value.retry_after_s == pytest.approx(100.0)
    now[0] = 101.0
    assert (await server.call("pid", {})).ok
    await server.close()


@pytest.mark.parametrize("tool", ["hang", "stuck"])
async def test_one_that_hangs_is_ended(tool: str) -> None:
    server = McpServer("tiny", tiny(), times=McpTimes(start_s=60, call_s=60))
    pid = int((await server.call("pid", {})).text)
    server.times = McpTimes(start_s=60, call_s=0.3)
    with pytest.raises(DeadlineExceeded):
        await server.call(tool, {})
    assert gone(pid)
    server.times = McpTimes(start_s=60, call_s=60)
    assert (await server.call("pid", {})).ok
    await server.close()


async def test_a_cancelled_call_leaves_the_others_alone(server: McpServer) -> None:
    pid = (await server.call("pid", {})).text
    task = asyncio.create_task(server.call("hang", {}))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await server.call("pid", {})).text == pid


async def test_more_than_a_message_may_hold() -> None:
    server = McpServer("tiny", tiny(), times=McpTimes(60, 60))
    assert len((await server.call("large", {"megabytes": 1})).text) == 1024 * 1024
    with pytest.raises(UpstreamError):
        await server.call("large", {"megabytes": 30})
    assert (await server.call("pid", {})).ok
    await server.close()


@pytest.mark.parametrize(
    ("transport", "error"),
    [
        (partial(stdio_transport, ["sleep", "600"]), DeadlineExceeded),
        (partial(stdio_transport, [sys.executable, "-c", ENDLESS]), UpstreamError),
        (partial(stdio_transport, ["/does/not/exist"]), ConfigError),
        (partial(stdio_transport, ["true"]), UpstreamError),
        (partial(stdio_transport, ["cat"]), (UpstreamError, DeadlineExceeded)),
        (partial(stdio_transport, ["a\0b"]), ConfigError),
    ],
)
async def test_what_is_no_server(transport: Any, error: Any) -> None:
    server = McpServer("x", transport, times=McpTimes(start_s=5.0))
    with pytest.raises(error):
        await server.tools()
    await server.close()


async def test_lines_that_are_no_messages_do_no_harm() -> None:
    server = McpServer("tiny", tiny("--garbage"), times=McpTimes(60, 60))
    assert (await server.call("add", {"a": 1, "b": 1})).text == "2"
    await server.close()


@pytest.mark.parametrize("name", ["", "A", "a-b", "a" * 21, "1a", "../x"])
def test_names_of_servers(name: str) -> None:
    with pytest.raises(ConfigError):
        McpServer(name, tiny())


OURS = """
import asyncio
from zoran_ray.tools.calculator import Calculator
from zoran_ray.tools.mcp_server import serve_stdio
from zoran_ray.tools.toolbox import Toolbox
asyncio.run(serve_stdio(Toolbox([Calculator()], ["calculator"])))
"""


async def test_our_tools_for_others() -> None:
    ours = partial(
        stdio_transport, [sys.executable, "-c", OURS], {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    )
    server = McpServer("ours", ours, times=McpTimes(60, 60))
    (tool,) = await server.tools()
    assert tool.name == "ours_calculator"
    assert tool.parameters == Calculator.parameters
    assert (await tool.call({"expression": "6 * 7"})).text.endswith("42")
    assert not (await tool.call({"expression": "import os"})).ok
    assert not (await tool.call({"wrong": 1})).ok
    assert not (await server.call("fetch", {"url": "http://x.test"})).ok
    await server.close()


async def test_over_http() -> None:
    import uvicorn

    from zoran_ray.tools.mcp_http import http_transport

    app = runpy.run_path(TINY)["app"]
    config = uvicorn.Config(app.streamable_http_app(), port=0, log_level="critical", lifespan="on")
    web = uvicorn.Server(config)
    task = asyncio.create_task(web.serve())
    while not web.started:
        await asyncio.sleep(0.01)
    port = web.servers[0].sockets[0].getsockname()[1]
    server = McpServer(
        "tiny", partial(http_transport, f"http://127.0.0.1:{port}/mcp"), times=McpTimes(60, 60)
    )
    assert len(await server.tools()) == 9
    assert (await server.call("add", {"a": 2, "b": 2})).text == "4"
    with pytest.raises(UpstreamError):
        await server.call("large", {"megabytes": 8})
    assert (await server.call("add", {"a": 2, "b": 3})).text == "5"
    await server.close()
    web.should_exit = True
    await task
    server = McpServer(
        "tiny", partial(http_transport, f"http://127.0.0.1:{port}/mcp"), times=McpTimes(5, 5)
    )
    with pytest.raises(UpstreamError):
        await server.tools()
    await server.close()
