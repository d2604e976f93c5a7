"""`zoran task`, beside an office whose pilot goes the straight way."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from serve_apps.gateway.arms import Arms
from serve_apps.gateway.door import Door
from serve_apps.gateway.pages import pages
from serve_apps.gateway.task_pages import add_task_pages
from tests.autopilot.pilots import Course, Journal
from zoran_ray.autopilot import State
from zoran_ray.autopilot.office import Rules, TaskOffice
from zoran_ray.autopilot.remote import Whereabouts
from zoran_ray.cli.task_watching import event_line
from zoran_ray.config import load
from zoran_ray.engines.fleet import Fleet
from zoran_ray.messages import KeySnapshot
from zoran_ray.policy import Policy
from zoran_ray.settings import ServerSettings

ROOT = Path(__file__).parents[2]


class Served:
    """An office behind the gateway's pages, in a thread of its own."""

    def __init__(self, folder: Path, **course: Any) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder, self._course = folder, course
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._ready, self._loop = threading.Event(), asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._ready.wait(20)

    async def _serve(self) -> None:
        policy = Policy(mode_max="autopilot")
        rules = Rules(lambda: policy, lambda _: Whereabouts(open=True), "local/m")
        office = TaskOffice(self._folder, rules, lambda tasks: Course(tasks, **self._course), Journal())
        await office.begin()

        async def ask(method: str, *args: Any) -> Any:
            return await getattr(office, method)(*args)

        self._server = uvicorn.Server(uvicorn.Config(self._app(ask), log_config=None, ws="none"))
        self._server.install_signal_handlers = lambda: None
        serving = asyncio.create_task(self._server.serve(sockets=[self._listening]))
        while not self._server.started:
            await asyncio.sleep(0.01)
        self._ready.set()
        await serving
        await office.stop()

    def _app(self, ask: Callable[..., Any]) -> FastAPI:
        async def no_metrics() -> str:
            return ""

        door = Door(open_without_keys=True)
        door.update(KeySnapshot())
        app = pages(Fleet(), Arms({}), door, no_metrics)
        add_task_pages(app, door, ask, ServerSettings())
        return app

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self._loop.close()


@pytest.fixture
def serve(
    tmp_path: Path, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Served]]:
    begun: list[Served] = []

    def made(**course: Any) -> Served:
        begun.append(Served(tmp_path / "office", **course))
        monkeypatch.setenv("ZORAN_BASE_URL", begun[-1].url)
        return begun[-1]

    yield made
    for each in begun:
        each.close()


@pytest.fixture
def shop(zoran: Any, tmp_path: Path) -> Path:
    done = zoran("task", "demo", str(tmp_path / "shop"))
    assert done.exit_code == 0, done.output
    return tmp_path / "shop"


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_whole_way(zoran: Any, serve: Any, shop: Path) -> None:
    serve()
    done = zoran("task", "start", "The discount is wrong.", "--repo", "shop", "--watch", "--json")
    assert done.exit_code == 0, done.output
    *events, task = lines(done.stdout)
    assert [event["data"]["to"] for event in events] == [
        "received",
        "planned",
        "edited",
        "tested",
        "pushed",
    ]
    assert (task["state"], task["repositories"][0]["remote"]) == ("pushed", f"file://{shop}")
    again = zoran("task", "watch", task["id"])
    assert again.exit_code == 0
    assert "tested → pushed" in again.stderr
    assert "State:   pushed" in again.stdout
    assert [row["id"] for row in lines(zoran("task", "list", "--json").stdout)[0]["data"]] == [task["id"]]
    assert task["id"] in zoran("task", "list").stdout
    assert zoran("task", "show", task["id"]).exit_code == 0
    assert lines(zoran("task", "diff", task["id"], "--json").stdout) == [{"diff": ""}]
    more = zoran("task", "start", "And the sum.", "--thread", task["thread_id"], "--json")
    assert lines(more.stdout)[0]["thread_id"] == task["thread_id"]


def test_what_the_model_said_is_shown(zoran: Any, serve: Any, shop: Path) -> None:
    serve(says="Round the discount.")
    done = zoran("task", "start", "It is wrong.", "--repo", str(shop), "--watch", "--json")
    *_, task = lines(done.stdout)
    shown = zoran("task", "trace", task["id"])
    assert shown.stdout.splitlines() == ["thought: Round the discount. (12 tokens)"]
    assert shown.stderr.startswith("pushed: 1 calls, 12 tokens (0 cached)")
    (document,) = lines(zoran("task", "trace", task["id"], "--json").stdout)
    assert document["calls"][0]["messages"] == [{"role": "user", "content": "Plan."}]
    assert zoran("task", "trace", "task_0").exit_code == 1


def test_what_waits_for_a_person(zoran: Any, serve: Any, shop: Path) -> None:
    serve(asks_at=State.TESTED)
    waits = zoran("task", "start", "It is wrong.", "--repo", str(shop), "--watch")
    assert waits.exit_code == 5, waits.output
    assert "A risky path." in waits.stdout
    (task,) = lines(zoran("task", "list", "--json").stdout)[0]["data"]
    assert zoran("task", "approve", task["id"]).exit_code == 0
    assert zoran("task", "watch", task["id"]).exit_code == 0
    assert zoran("task", "approve", task["id"]).exit_code == 1


def test_what_fails_and_what_is_cancelled(zoran: Any, serve: Any, shop: Path) -> None:
    serve(breaks_once_at=State.EDITED, hangs_at=State.TESTED)
    failed = zoran("task", "start", "It is wrong.", "--repo", str(shop), "--watch")
    assert failed.exit_code == 1
    assert "Unexpected RuntimeError" in failed.stdout
    (task,) = lines(zoran("task", "list", "--json").stdout)[0]["data"]
    assert zoran("task", "resume", task["id"]).exit_code == 0
    assert zoran("task", "cancel", task["id"], "--json").exit_code == 0


def test_a_refusal_is_told(zoran: Any, serve: Any, shop: Path) -> None:
    serve()
    wrong = zoran("task", "start", "m", "--repo", str(shop), "--mode", "god")
    assert (wrong.exit_code, "'mode'" in wrong.stderr) == (1, True)
    assert zoran("task", "show", "../keys").exit_code == 1
    assert (
        zoran("task", "start", "m", "--repo", str(shop), "--base-url", "http://127.0.0.1:1").exit_code == 4
    )


def test_a_mode_that_is_lowered_is_told(zoran: Any, serve: Any, shop: Path) -> None:
    serve()
    done = zoran("task", "start", "m", "--repo", str(shop), "--mode", "sovereign")
    assert "'autopilot'" in done.stdout


def test_the_demo_says_how_to_go_on(zoran: Any, tmp_path: Path) -> None:
    told = lines(zoran("task", "demo", "shop", "--json").stdout)[0]
    assert len(told["commands"]) == 3
    assert (tmp_path / "shop" / ".git").is_dir()
    assert zoran("task", "demo", "shop").exit_code == 1  # nothing of anybody's is written over


def test_the_scripted_model_is_served_until_it_is_ended(zoran: Any, shop: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    words = ["task", "demo", str(shop), "--serve-script", "--port", str(port)]
    command = [sys.executable, "-m", "zoran_ray.cli", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stderr is not None
        said = server.stderr.readline()
        assert "no model" in said
        rows = httpx.get(f"http://127.0.0.1:{port}/v1/models", trust_env=False).json()["data"]
        assert [row["id"] for row in rows] == ["scripted/demo"]
    finally:
        server.send_signal(signal.SIGINT)
        text, _ = server.communicate(timeout=20)
    assert server.returncode == 0
    (tmp_path / "models.yaml").write_text(text)
    loaded = load({"models_file": tmp_path / "models.yaml"}, {"HOME": str(tmp_path)}, tmp_path)
    (arm,) = loaded.catalogue.arms
    assert (arm.name, arm.base_url) == ("scripted/demo", f"http://127.0.0.1:{port}/v1")


def test_an_event_is_one_line_without_control_characters() -> None:
    event = {"kind": "tried", "data": {"why": "a\nb" + "x" * 200, "nothing": None}}
    line = event_line(event)
    assert "\n" not in line
    assert "nothing" not in line
    assert len(line) < 130
