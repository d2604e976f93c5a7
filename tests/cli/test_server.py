"""Commands that ask a running server, over real sockets and against real processes."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from zoran_ray.control import ControlServer, Progress, ServerRecord, read_record, record_of, write_record
from zoran_ray.errors import ModelLoadError

STATUS: dict[str, Any] = {
    "url": "http://127.0.0.1:8080",
    "uptime_s": 3725.0,
    "models": [
        {
            "name": "local/pocket",
            "source": "embedded",
            "state": "ready",
            "replicas": 2,
            "running": 1,
            "waiting": 0,
        }
    ],
    "models_file": {"path": "/m.yaml", "version": 1, "rejected": 0, "error": None},
    "processes": [{"role": "raylet", "pid": 77, "rss_bytes": 3 * 2**20}],
}

# A server process that stops when asked, or never if told so.
SERVER = """
import asyncio, sys
from pathlib import Path
from zoran_ray.control import ControlServer

async def main():
    ended = asyncio.Event()
    async def stop(args, progress):
        ended.set()
        return {}
    server = ControlServer(Path(sys.argv[1]), {"stop": stop})
    await server.start()
    print("ready", flush=True)
    await ended.wait()
    await server.close()

asyncio.run(main())
"""


@pytest.fixture
def requests(state_dir: Path) -> Iterator[list[dict[str, Any]]]:
    """A control server in this process; the requests it got."""
    seen: list[dict[str, Any]] = []

    def answering(result: Mapping[str, Any]) -> Callable[..., Any]:
        async def handler(args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
            seen.append(dict(args))
            progress("working", "")
            if args.get("model") == "huge/model":
                raise ModelLoadError("It needs 80 GiB.")
            return dict(result)

        return handler

    loop = asyncio.new_event_loop()
    handlers = {
        "status": answering(STATUS),
        "load": answering({"model": "local/x"}),
        "unload": answering({}),
    }
    server = ControlServer(state_dir, handlers)
    loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield seen
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts Python processes and ends those that are left."""
    children: list[subprocess.Popen[bytes]] = []

    def start(code: str, *args: str) -> subprocess.Popen[bytes]:
        children.append(
            subprocess.Popen(
                [sys.executable, "-c", code, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        )
        assert children[-1].stdout is not None
        assert children[-1].stdout.readline() == b"ready\n"
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child.communicate()


def record(child: subprocess.Popen[bytes], *others: subprocess.Popen[bytes]) -> ServerRecord:
    started = psutil.Process(child.pid).create_time()
    processes = [found for each in others if (found := record_of(each.pid, "replica")) is not None]
    return ServerRecord(child.pid, started, "http://127.0.0.1:8080", started, tuple(processes))


def test_status(zoran: Any, requests: list[Any]) -> None:
    assert json.loads(zoran("status", "--json").stdout) == STATUS
    shown = zoran("status").stdout
    assert "http://127.0.0.1:8080  running for 1 h 2 min" in shown
    assert "local/pocket" in shown
    assert "3 MiB" in shown


def test_a_refused_models_file_shows_in_the_status(zoran: Any, requests: list[Any]) -> None:
    assert zoran("status").stderr == ""
    STATUS["models_file"]["error"] = "m.yaml:3: arms[0].provider: found 5, expected 'openai'"
    result = zoran("status", "--json")
    STATUS["models_file"]["error"] = None
    assert "Warning: The models file is refused" in result.stderr
    assert "m.yaml:3: arms[0].provider" in result.stderr
    assert json.loads(result.stdout)["models_file"]["version"] == 1


def test_nobody_runs(zoran: Any) -> None:
    for args in (["status"], ["stop"], ["models", "load", "x"], ["models", "unload", "x"]):
        result = zoran(*args)
        assert result.exit_code == 4
        assert "zoran serve" in result.stderr


def test_loading_and_unloading(zoran: Any, requests: list[Any], tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "pocket").mkdir()
    assert (
        zoran("models", "load", "./weights", "--engine-arg", "max-model-len=64").stdout
        == "Loaded local/x.\n"
    )
    assert json.loads(zoran("models", "load", "pocket", "--json").stdout) == {"model": "local/x"}
    assert zoran("models", "unload", "local/x").stdout == "Unloaded local/x.\n"
    assert requests == [
        {"op": "load", "model": str(tmp_path / "weights"), "engine_args": {"max_model_len": 64}},
        {"op": "load", "model": "pocket", "engine_args": {}},
        {"op": "unload", "model": "local/x"},
    ]


def test_a_load_that_fails(zoran: Any, requests: list[Any]) -> None:
    result = zoran("models", "load", "huge/model")
    assert result.exit_code == 1
    assert result.stderr == "Error: It needs 80 GiB.\n"


def test_stop_waits_for_the_end(zoran: Any, state_dir: Path, spawn: Any) -> None:
    server = spawn(SERVER, str(state_dir))
    write_record(state_dir, record(server))
    reaper = threading.Thread(target=server.wait)
    reaper.start()
    assert zoran("stop").stdout == "Stopped.\n"
    reaper.join(10)
    assert server.returncode == 0


def test_stop_ends_what_a_killed_server_left(zoran: Any, state_dir: Path, spawn: Any) -> None:
    wait = "print('ready', flush=True); input()"
    dead, left, stranger = spawn(wait), spawn(wait), spawn(wait)
    written = record(dead, left)
    reused = record_of(stranger.pid, "reused")
    assert reused is not None
    old = type(reused)(reused.pid, reused.create_time - 1000, "reused")
    write_record(
        state_dir, ServerRecord(written.pid, written.create_time, "u", 0, (*written.processes, old))
    )
    dead.kill()
    dead.wait()
    reaper = threading.Thread(target=left.wait)
    reaper.start()
    result = zoran("stop", "--json")
    reaper.join(10)
    assert json.loads(result.stdout) == {"stopped": True, "left_behind": [left.pid]}
    assert left.returncode is not None
    assert stranger.poll() is None
    assert read_record(state_dir) is None
    assert zoran("stop").exit_code == 4


def test_a_record_of_nothing_is_forgotten(zoran: Any, state_dir: Path) -> None:
    write_record(state_dir, ServerRecord(os.getpid(), 1.0, "u", 0))
    assert zoran("stop").exit_code == 4
    assert read_record(state_dir) is None
