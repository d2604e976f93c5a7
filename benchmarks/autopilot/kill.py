"""Workers that are killed in every state: is anything done twice, or forgotten?

One task is one round. Its workers are killed at a moment of each state in turn, another moment each round;
the next worker goes on where the last one stood. Then everything outside is counted: branches, commits,
pushes, pull requests, comments, merges, deployments, and is held against a round that nobody disturbed.
"""

import asyncio
import itertools
import multiprocessing
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.autopilot.github_stand_in import Hosted, Moment, StandIn
from benchmarks.autopilot.kill_worker import LEASE_S, Orders, make_place, work
from benchmarks.autopilot.stage import LOGIN, TARGET, TOKEN, put_repository
from zoran_ray.autopilot import Mode, State, Tasks, task_database
from zoran_ray.autopilot.demo import DEMO_FILES, DEMO_MESSAGE, DEMO_MODEL, demo_script
from zoran_ray.autopilot.git.commands import GitCommands
from zoran_ray.autopilot.scripted_model import PREFIX, ScriptedServer
from zoran_ray.sandbox import Backend

POINTS = 12
AT_ONCE = 2
_WORKER_S = 120.0
_MOST_WORKERS = 40
_OWNER = "bench"
WORLDS: Mapping[str, frozenset[str] | None] = {
    "healthy": None, "sick": frozenset({"deployed", "rolling_back"}),
}  # fmt: skip
"""The place to deploy to, and the states in which workers are killed: None for all. In a sick one what is
deployed is not well and is rolled back; until then both go the same way."""
_ACTS = (
    ("POST", "/pulls$"), ("PUT", "/merge$"), ("POST", "git-receive-pack$"), ("POST", "/comments$"),
    ("POST", "git-upload-pack$"), ("GET", "/pulls"),
)  # fmt: skip
"""Requests after which the server kills the worker: it was done, and nobody heard."""

AFTER_AN_ACT = "after an act"
"""In place of the state where somebody else killed the worker."""

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["benchmarks.autopilot.kill_worker"])


@dataclass
class Round:
    """One task and its workers."""

    github: StandIn
    hosted: Hosted
    tasks: Tasks
    task_id: str
    orders: Orders
    kills: Counter[str]
    workers: int = 0

    def go(self, kills: Mapping[str, int]) -> None:
        """Workers one after the other, each killed once at most, until one comes to the end. Blocks."""
        left = dict(kills)
        for self.workers in range(1, _MOST_WORKERS + 1):
            status = self._worker(left)
            if status == 0:
                return
            if status != -signal.SIGKILL:
                raise RuntimeError(f"a worker ended by itself with status {status}")
            died = self.orders.folder / "died"
            state = died.read_text() if died.exists() else AFTER_AN_ACT
            died.unlink(missing_ok=True)
            left.pop(state, None)
            self.kills[state] += 1
            if self.tasks.get(_OWNER, self.task_id).finished:
                return  # it died behind its last commit, with nothing left to do
            self.orders = replace(self.orders, later_s=self.orders.later_s + LEASE_S + 1)
        raise RuntimeError("the workers come to no end")

    def _worker(self, kills: Mapping[str, int]) -> int:
        worker = _processes.Process(target=work, args=(replace(self.orders, kills=kills),))
        worker.start()
        self.pid = worker.pid or 0
        worker.join(_WORKER_S)
        if worker.exitcode is None:
            worker.kill()
            worker.join()
            raise RuntimeError(f"a worker did not end within {_WORKER_S:g} s")
        return worker.exitcode

    def kill_at_acts(self) -> None:
        """The servers kill the worker too: after each act, and while it deploys."""

        def kill() -> None:
            os.kill(self.pid, signal.SIGKILL)

        for method, path in _ACTS:
            self.github.fault(method, f"{self.hosted.full_name}.*{path}", Moment.AFTER, kill)
        for act in ("deploy", "roll_back"):
            (self.orders.place / f"die-{act}").touch()

    def effects(self) -> dict[str, int]:
        """Everything outside that can be counted."""
        git = GitCommands(self.hosted.git.folder)
        logs = self.hosted.git.folder / "logs" / "refs" / "heads"
        pushes = [path for path in logs.rglob("*") if path.is_file() and path.name != "main"]
        pulls = self.hosted.pulls.values()
        return {
            "branches": len(self.hosted.git.branches()),
            "commits": int(git.line("rev-list", "--all", "--count")),
            "pushes": sum(len(path.read_text().splitlines()) for path in pushes),
            "pull requests": len(pulls),
            "comments": sum(len(each) for each in self.hosted.comments.values()),
            "merges": sum(pull.merge_commit is not None for pull in pulls),
            "deploys": _lines(self.orders.place / "deploys"),
            "rollbacks": _lines(self.orders.place / "rollbacks"),
        }

    def moments(self) -> dict[str, int]:
        """How many moments each state had in the worker that came to the end."""
        lines = (self.orders.folder / "moments").read_text().splitlines()
        return {name: int(count) for name, count in (line.split() for line in lines)}

    def ended(self) -> str:
        """The state, and why it is set aside if it is."""
        task = self.tasks.get(_OWNER, self.task_id)
        aside = task.facts.get("awaiting") or task.facts.get("failed") or {}
        return ": ".join(
            filter(None, (task.state, aside.get("what") or aside.get("code"), aside.get("why")))
        )

    def path(self) -> list[str]:
        """The states that its events tell of. Raises: RuntimeError: One does not follow another."""
        moves = [each.data for each in self.tasks.events(self.task_id) if each.kind == "transition"]
        for before, after in itertools.pairwise(moves):
            if before["to"] != after["from"]:
                raise RuntimeError("a transition is missing")
        return [move["to"] for move in moves]


def _lines(file: Path) -> int:
    return len(file.read_text().splitlines()) if file.exists() else 0


async def measure(backend: Backend | None, points: int = POINTS) -> dict[str, Any]:
    """All rounds of both worlds.

    Args:
        backend: Docker; None: no walls, for tests of this file.
        points: Moments of each state.
    """
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="zoran-kill-")))
        folder.chmod(0o700)
        github = stack.enter_context(StandIn(folder / "hub"))
        github.add_user(LOGIN, token=TOKEN)
        address = await stack.enter_async_context(ScriptedServer(demo_script, [DEMO_MODEL]))
        stage = _Stage(folder, github, (address, f"{PREFIX}{DEMO_MODEL}"), backend)
        worlds = {name: await _world(stage, name, points) for name in WORLDS}
    return {
        "points": points, "worlds": worlds, "violations": len(github.violations),
        "walls": backend is not None, "wall_s": round(time.monotonic() - began, 1),
    }  # fmt: skip


@dataclass(frozen=True)
class _Stage:
    folder: Path
    github: StandIn
    model: tuple[str, str]
    backend: Backend | None

    def round(self, world: str, name: str) -> Round:
        """A repository, a task that waits, a place to deploy to."""
        hosted = put_repository(self.github, f"{world}-{name}", DEMO_FILES)
        folder = self.folder / f"{world}-{name}"
        folder.mkdir(mode=0o700)
        make_place(folder / "place", sick=world == "sick")
        tasks = Tasks(task_database(folder), time.time)
        request = {
            "message": DEMO_MESSAGE, "known": "", "model": self.model[1], "key_id": "bench",
            "repositories": [{"remote": self.github.remote(hosted.full_name), "branch": None}],
            "deploy": TARGET,
        }  # fmt: skip
        task = tasks.create(_OWNER, Mode.SOVEREIGN, request, goal=State.HEALTHY)
        orders = Orders(
            folder, 0.0, self.github.api_urls, self.model, folder / "place", backend=self.backend
        )
        return Round(self.github, hosted, tasks, task.id, orders, Counter())


async def _world(stage: _Stage, world: str, points: int) -> dict[str, Any]:
    calm = stage.round(world, "calm")
    await asyncio.to_thread(calm.go, {})
    expected, path, moments = calm.effects(), calm.path(), calm.moments()
    meant = {name: count for name, count in moments.items() if name in (WORLDS[world] or moments)}
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int | None) -> dict[str, Any]:
        async with places:
            round_ = stage.round(world, "acts" if number is None else str(number))
            kills: dict[str, int] = {}
            if number is None:
                round_.kill_at_acts()
            else:
                kills = {state: 1 + int((number + 0.5) / points * count) for state, count in meant.items()}
            await asyncio.to_thread(round_.go, kills)
            shutil.rmtree(round_.orders.folder / "copies")
            return _held_against(round_, expected, path)

    rounds = await asyncio.gather(*(one(number) for number in (*range(points), None)))
    return {"expected": expected, "path": path, "moments": moments, **_together(rounds)}


def _together(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counted = {
        name: dict(sum((Counter(each[name]) for each in rounds), Counter()))
        for name in ("kills", "duplicates", "missing")
    }
    return counted | {
        "ends": dict(Counter(each["ended"] for each in rounds)),
        "rounds": len(rounds), "workers": sum(each["workers"] for each in rounds),
        "lost_transitions": sum(each["lost"] for each in rounds),
        "repeated_transitions": sum(each["repeated"] for each in rounds),
    }  # fmt: skip


def _held_against(round_: Round, expected: Mapping[str, int], path: list[str]) -> dict[str, Any]:
    """What is there too often, and what is not there."""
    found, went = round_.effects(), round_.path()
    differs = {name: found[name] - count for name, count in expected.items()}
    here, there = Counter(went), Counter(path)
    return {
        "kills": dict(round_.kills), "workers": round_.workers,
        "duplicates": {name: count for name, count in differs.items() if count > 0},
        "missing": {name: -count for name, count in differs.items() if count < 0},
        "lost": (there - here).total(), "repeated": (here - there).total(),
        "ended": round_.ended(),
    }  # fmt: skip
