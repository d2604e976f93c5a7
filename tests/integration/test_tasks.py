"""Tasks on a server of their own: the sample, a scripted model, and a real sandbox where one can be."""

import asyncio
import json
import os
import sqlite3
import subprocess
import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors.names import AUTOPILOT
from tests.integration.sandbox_place import HOST_VARIABLE, nothing_left, require_docker
from tests.integration.stack import Stack, free_port, until
from zoran_ray.autopilot.database import DATABASE, FOLDER
from zoran_ray.autopilot.demo import DEMO_MESSAGE, DEMO_MODEL, demo_repository, demo_script
from zoran_ray.autopilot.scripted_model import PREFIX, Reply, ScriptedServer, text_of
from zoran_ray.sandbox.labels import deployment_of
from zoran_ray.telemetry.names import TASKS, TASKS_ENDED

pytestmark = pytest.mark.integration

MODEL = f"{PREFIX}{DEMO_MODEL}"
SLOWLY, SLOW_S = "Take your time.", 4.0
MENDED = "+    return price * (100 - percent) / 100"


def script(name: str, messages: Sequence[Mapping[str, Any]]) -> Reply:
    """The demonstration's, which takes its time where it is asked to."""
    reply = demo_script(name, messages)
    return replace(reply, after_s=SLOW_S) if SLOWLY in text_of(messages) else reply


@contextmanager
def scripted() -> Iterator[str]:
    """The scripted model in a thread of its own; gives its address."""
    port, loop = free_port(), asyncio.new_event_loop()
    ready, ends = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with ScriptedServer(script, [DEMO_MODEL], port):
            ready.set()
            await ends.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    yield f"http://127.0.0.1:{port}/v1"
    loop.call_soon_threadsafe(ends.set)
    thread.join(20)
    loop.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Stack]:
    """A server that serves no model, and asks the scripted one. It must end clean."""
    docker = (
        {"ZORAN_SANDBOX__DOCKER_HOST": os.environ[HOST_VARIABLE]} if HOST_VARIABLE in os.environ else {}
    )
    with scripted() as base_url:
        made = Stack([], settings=docker | {"ZORAN_AUTOPILOT__LEASE_S": "5"})
        arm = {
            "name": MODEL, "provider": "openai_compatible", "upstream": MODEL, "base_url": base_url,
            "context_tokens": 131072, "data_goes": "local", "usd_per_million_input": 0,
            "usd_per_million_output": 0,
        }  # fmt: skip
        (made.folder / "models.yaml").write_text(json.dumps({"arms": [arm]}))
        made.start()
        yield made
        made.end()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    demo_repository(tmp_path / "shop")
    return tmp_path / "shop"


def server_task(server: Stack, task_id: str) -> Any:
    return json.loads(server.zoran("task", "show", task_id, "--json").stdout)


def state_on_disk(server: Stack, task_id: str) -> str:
    path = server.state_dir / FOLDER / DATABASE
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return str(db.execute("SELECT state FROM tasks WHERE id = ?", (task_id,)).fetchone()[0])


def task_of(server: Stack, shop: Path, mode: str) -> tuple[int, Any, list[Any]]:
    """Exit status, the task as it stands in the end, and its events."""
    words = ("task", "start", DEMO_MESSAGE, "--repo", str(shop), "--mode", mode, "--model", MODEL)
    done = server.zoran(*words, "--watch", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows, done.stderr
    return done.returncode, rows[-1], rows[:-1]


def journal_of(server: Stack, kind: str, task_id: str, at_least: int) -> list[Any]:
    """What the journal knows of a task, once it is as much; it is told a moment later."""

    def known() -> list[Any]:
        rows = json.loads(server.zoran("journal", "tail", "-n", "200", "--json").stdout)["entries"]
        return [row["meta"] for row in rows if row["kind"] == kind and row["meta"]["task"] == task_id]

    until("the journal knows", lambda: len(known()) >= at_least)
    return known()


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=30
    ).stdout.strip()


def test_advice_needs_no_sandbox_and_writes_nothing(server: Stack, shop: Path) -> None:
    before = git(shop, "for-each-ref")
    status, task, events = task_of(server, shop, "advisor")
    assert (status, task["state"], task["goal"]) == (0, "edited", "edited"), (task, server.log())
    assert [e["data"]["to"] for e in events if e["kind"] == "transition"] == [
        "received",
        "planned",
        "edited",
    ]
    assert MENDED in server.zoran("task", "diff", task["id"]).stdout
    assert git(shop, "for-each-ref") == before
    trace = json.loads(server.zoran("task", "trace", task["id"], "--json").stdout)
    assert [call["asked_for"] for call in trace["calls"]] == ["plan", "edit"]
    assert DEMO_MESSAGE in str(trace["calls"][0]["messages"])


def test_a_request_is_answered_with_its_plan(server: Stack, shop: Path) -> None:
    asked = {"message": DEMO_MESSAGE, "repo_path": str(shop), "mode": "advisor", "model": MODEL}
    url, headers = f"{server.base_url}/v1/chat", {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(asked | {"wait_s": 60}).encode(), headers)
    with urllib.request.urlopen(request, timeout=90) as answer:
        task = json.load(answer)
    assert task["plan"] == server_task(server, task["id"])["plan"]
    assert task["plan"]["text"]


def test_what_is_counted_is_on_the_page(server: Stack, shop: Path) -> None:
    task_of(server, shop, "advisor")
    with urllib.request.urlopen(f"{server.base_url}/metrics", timeout=10) as answer:
        found = [
            sample
            for family in text_string_to_metric_families(answer.read().decode())
            for sample in family.samples
            if sample.labels.get("actor") == AUTOPILOT
        ]
    told = {(one.name, one.labels.get("state"), one.labels.get("mode")): one.value for one in found}
    assert told[TASKS_ENDED, "edited", "advisor"] >= 1
    assert told[TASKS, "edited", "advisor"] >= 1
    assert str(shop) not in repr(found)


def test_the_journal_has_every_move(server: Stack, shop: Path) -> None:
    _, task, _ = task_of(server, shop, "advisor")
    moves = journal_of(server, "task.transition", task["id"], 3)
    assert [move["to"] for move in moves] == ["received", "planned", "edited"]
    assert all(len(move["policy"]) == 64 for move in moves)
    assert server.zoran("journal", "verify").returncode == 0


def test_a_worker_that_is_killed_goes_on_where_it_was(server: Stack, shop: Path) -> None:
    words = ("--repo", str(shop), "--mode", "advisor", "--model", MODEL, "--json")
    task = json.loads(server.zoran("task", "start", f"{DEMO_MESSAGE} {SLOWLY}", *words).stdout)
    until("it is planned", lambda: server_task(server, task["id"])["state"] == "planned")
    server.process("ray::AutopilotWorker").kill()
    # Nobody asks for it: the file says what became of it.
    until("it is edited", lambda: state_on_disk(server, task["id"]) == "edited")


@pytest.mark.docker
def test_a_tested_branch(server: Stack, shop: Path) -> None:
    require_docker()
    built = server.zoran("sandbox", "build", "--json")
    assert built.returncode == 0, built.stderr
    main = git(shop, "rev-parse", "main")
    with nothing_left(deployment_of(server.state_dir)):
        status, task, events = task_of(server, shop, "operator")
        assert (status, task["state"]) == (0, "pushed"), (events, task, server.log())
    branch = f"zoran/{task['id']}"
    assert git(shop, "rev-parse", "main") == main
    assert MENDED in git(shop, "diff", "main", branch)
    (part,) = server_task(server, task["id"])["facts"]["repositories"]
    assert part["attempts"][-1]["evidence"]["fixed"]
    told = journal_of(server, "policy.decision", task["id"], 2)
    assert [(row["what"], row["verdict"], row["commit"], row["policy"]) for row in told] == [
        (what, "allow", part["commit"], part["policy"]) for what in ("paths", "action:git.push")
    ]
