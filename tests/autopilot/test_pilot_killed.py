"""A worker may end before or after any durable write: the next one goes on, and nothing is done twice."""

import asyncio
import itertools
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.autopilot.github_stand_in import Moment
from tests.autopilot.forked import MOST_KILLS, processes
from tests.autopilot.pilot_bench import Bench, Place, bench_in, decisions, path_of
from tests.autopilot.pilot_worker import work
from zoran_ray.autopilot import State, Task, Tasks
from zoran_ray.autopilot.decisions import DECIDED
from zoran_ray.autopilot.deploy.deployer import Health
from zoran_ray.autopilot.lapses import MOST_LAPSES

MOST_WORKERS = 200
SHOWN = ("paths", "action:git.push", "action:github.open_pr", "text")
REVERTED = ("action:git.push", "action:github.open_pr")
"""Decisions of the policy, each kept once, until a change is shown and when it is taken back."""
processes.set_forkserver_preload(["tests.autopilot.here", "tests.autopilot.pilot_worker"])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_in(tmp_path) as bench:
        yield bench


class Killed(BaseException):
    """Stands for the end of the process."""


class MortalDatabase:
    """The file of tasks, and a worker that ends at one of its writes."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self.before = 0
        self.after_change = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    @contextmanager
    def write(self) -> Iterator[Any]:
        self.before -= 1
        if self.before == 0:
            raise Killed
        was = self.known() if self.after_change else ""
        with self._db.write() as db:
            yield db
        if self.after_change and self.known() != was:
            raise Killed

    def known(self) -> str:
        """All that the next worker will know."""
        with self._db.read() as db:
            tasks = db.execute("SELECT state, facts FROM tasks").fetchall()
            steps = db.execute("SELECT * FROM steps ORDER BY task, name").fetchall()
            decided = db.execute("SELECT data FROM events WHERE kind = ?", (DECIDED,)).fetchall()
        return repr(([(state, _lasting(facts)) for state, facts in tasks], steps, decided))


def _lasting(facts: str) -> Any:
    return {name: value for name, value in json.loads(facts).items() if name != "spent"}


def worker(bench: Bench, database: MortalDatabase) -> Task | None:
    """One worker's work. Returns: The task; None if it was killed."""
    lease = bench.claim()
    real = bench.tasks
    bench.tasks = Tasks(database, lambda: bench.now, most_lapses=MOST_KILLS)  # type: ignore[arg-type]
    try:
        return asyncio.run(bench.pilot().run(lease))
    except Killed:
        return None
    finally:
        bench.tasks = real


def test_a_worker_that_ends_after_every_write(bench: Bench) -> None:
    bench.settings = replace(bench.settings, health_s=1e6)  # workers come long after one another
    bench.begin(deploy="staging")
    database = MortalDatabase(bench.tasks.db)
    database.after_change = True
    workers, task = 1, worker(bench, database)
    while task is None and workers < MOST_WORKERS:
        still = bench.tasks.list("acme")[0][0]
        workers, task = workers + 1, still if still.finished else worker(bench, database)
    assert task is not None
    assert task.state is State.HEALTHY, task.facts
    assert workers > 25
    expect_each_once(bench, task)
    assert len(bench.model.prompts) == 2


def test_a_worker_that_ends_before_every_write(bench: Bench) -> None:
    bench.place = Place(Health.UNHEALTHY)
    bench.begin(deploy="staging")
    database = MortalDatabase(bench.tasks.db)
    workers, nth, task, known = 0, 1, None, database.known()
    while task is None and workers < MOST_WORKERS:
        # Each worker ends before the first write behind what the next one would know: what it did in the
        # world before that write is done and not written down.
        database.before, workers = nth, workers + 1
        task = worker(bench, database)
        now = database.known()
        nth, known = (1 if now != known else nth + 1), now
    assert task is not None
    assert task.state is State.ROLLED_BACK, task.facts
    assert workers > 50
    expect_each_once(bench, task, reverted=True)
    assert bench.place.brought_back == ["r0"]


def work_until_killed(bench: Bench, number: int, moment: Moment) -> int:
    """A process, killed at one of its requests to the forge, git's included. Returns: How it ended."""
    bench.now += 1000.0
    process = processes.Process(target=work, args=(bench.folder, bench.now, bench.github.api_urls))

    def kill() -> None:
        if process.pid is not None:  # else it is a git of the worker before, which outlived it
            os.kill(process.pid, signal.SIGKILL)

    bench.github.faults.clear()
    bench.github.fault(None, "", moment, kill, nth=number)
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def test_a_process_that_is_killed_at_every_request(bench: Bench) -> None:
    bench.begin()
    database = MortalDatabase(bench.tasks.db)
    database.after_change = True
    while bench.tasks.list("acme")[0][0].state is not State.TESTED:
        assert worker(bench, database) is None
    moments, number, kills, known = itertools.cycle(Moment), 1, 0, database.known()
    while (ended := work_until_killed(bench, number, next(moments))) == -signal.SIGKILL:
        kills, now = kills + 1, database.known()
        number, known = (1 if now != known else number + 1), now
    assert ended == 0
    (task,) = bench.tasks.list("acme")[0]
    assert task.state is State.MERGED, task.facts
    assert kills >= 12
    assert bench.happened() == (1, 1, 3)
    assert bench.hosted.git.commit_of(f"zoran/{task.id}") == bench.part(task).commit
    assert [each.what for each in decisions(bench, task)] == [*SHOWN, "merge"]


@pytest.mark.parametrize("ends_by", [signal.SIGKILL, signal.SIGSEGV])
def test_a_task_that_ends_every_process_is_not_begun_for_ever(
    bench: Bench, ends_by: signal.Signals
) -> None:
    bench.begin()
    bench.tasks = Tasks(bench.tasks.db, lambda: bench.now)
    for _ in range(MOST_LAPSES):
        bench.now += 1000.0
        given = (bench.folder, bench.now, bench.github.api_urls, MOST_LAPSES, ends_by)
        process = processes.Process(target=work, args=given)
        process.start()
        process.join(60)
        assert process.exitcode == -ends_by
    bench.now += 1000.0
    assert bench.tasks.claim(60.0) is None
    (task,) = bench.tasks.list("acme")[0]
    assert (task.state, task.before) == (State.FAILED, State.RECEIVED)
    assert "resume it" in task.facts["failed"]["why"]
    bench.tasks.resume("acme", task.id)
    assert bench.run().state is State.MERGED


def expect_each_once(bench: Bench, task: Task, *, reverted: bool = False) -> None:
    """One branch, pull request, merge, deployment; one more branch and pull request that take them back."""
    assert bench.happened() == (1 + reverted, 1 + reverted, 3)
    part = bench.part(task)
    assert bench.hosted.git.parents(part.merged or "") == [part.base, part.commit]
    assert bench.hosted.git.commit_of(f"zoran/{task.id}") == part.commit
    deployed = [commit for commit, marker in bench.place.made if marker.endswith("-deploy")]
    assert deployed == [part.merged]
    asked = [(each.what, each.commit) for each in decisions(bench, task)]
    assert len(set(asked)) == len(asked)
    assert [what for what, _ in asked] == [*SHOWN, "merge", "deploy", *REVERTED[: 2 * reverted]]
    last = ["deployed", "rolling_back", "rolled_back"] if reverted else ["deployed", "healthy"]
    assert path_of(bench, task) == [
        "received", "planned", "edited", "tested", "pushed", "pr_open", "gated", "merged", *last
    ]  # fmt: skip
