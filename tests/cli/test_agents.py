"""`zoran agents`, over a real control socket."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from zoran_ray.control import ControlServer, Progress
from zoran_ray.errors import InvalidRequest

STATES = {
    "reasoner": {"alive": True, "started": 3, "deaths": 2, "given_up_s": 0.0},
    "coder": {"alive": False, "started": 6, "deaths": 6, "given_up_s": 41.6},
    "retriever": {"alive": False, "started": 1, "deaths": 0, "given_up_s": 0.0},
    "vision": {"alive": False, "started": 0, "deaths": 0, "given_up_s": 0.0},
}


@pytest.fixture
def asked(state_dir: Path) -> Iterator[list[dict[str, Any]]]:
    """A control server in this process; what it was asked."""
    seen: list[dict[str, Any]] = []

    async def agents(args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        seen.append(dict(args))
        if args.get("restart") not in (None, *STATES):
            raise InvalidRequest("There is no agent 'x'.")
        return {"agents": STATES}

    loop = asyncio.new_event_loop()
    server = ControlServer(state_dir, {"agents": agents})
    loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield seen
    asyncio.run_coroutine_threadsafe(server.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_each_role_with_its_health_and_restarts(zoran: Callable[..., Any], asked: list[Any]) -> None:
    lines = zoran("agents", "list").stdout.splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "AGENT HEALTH RESTARTS DEATHS",
        "reasoner well 2 2",
        "coder given up for 42 s 5 6",
        "retriever not running 0 0",
        "vision not started: no request has wanted it yet 0 0",
    ]
    assert json.loads(zoran("agents", "list", "--json").stdout) == {"agents": STATES}


def test_a_role_is_restarted(zoran: Callable[..., Any], asked: list[Any]) -> None:
    assert zoran("agents", "restart", "coder").exit_code == 0
    assert asked[-1]["restart"] == "coder"
    result = zoran("agents", "restart", "x")
    assert result.exit_code != 0
    assert "no agent" in result.stderr


def test_without_a_server_it_says_what_to_do(zoran: Callable[..., Any]) -> None:
    result = zoran("agents", "list")
    assert result.exit_code != 0
    assert "zoran serve" in result.stderr
