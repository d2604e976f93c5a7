"""What is forgotten of tasks: only what is over, all of it or nothing, and copies that nobody needs."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.autopilot.pilot_bench import MESSAGE, Bench, bench_in
from tests.autopilot.test_calls import made
from tests.autopilot.test_tasks import Clock
from zoran_ray.autopilot import Lease, Mode, State, Task, Tasks, once, task_database
from zoran_ray.autopilot.calls import keep_call
from zoran_ray.autopilot.copies import copy_of
from zoran_ray.autopilot.forgetting import DAY_S, PIECE, Forgetting
from zoran_ray.autopilot.task import ENDED, PATH
from zoran_ray.errors import InvalidRequest, LeaseLost, Overloaded, RecordNotFound

SHOP = "https://git.example.com/acme/shop"
TILL = "https://git.example.com/acme/till"


def request(*remotes: str) -> dict[str, Any]:
    return {"message": "x", "repositories": [{"remote": each, "branch": None} for each in remotes]}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tasks(tmp_path: Path, clock: Clock) -> Iterator[Tasks]:
    tmp_path.chmod(0o700)
    found = Tasks(task_database(tmp_path), clock)
    yield found
    found.db.close()


def done(tasks: Tasks, *remotes: str) -> Task:
    """A task at its goal, which the journal knows of."""
    tasks.create("acme", Mode.ADVISOR, request(*remotes or (SHOP,)))
    lease = tasks.claim(60)
    assert lease is not None
    once(tasks, lease, "push 1", {}, lambda meant: None, lambda meant: {"done": True})
    keep_call(tasks, lease, made("a question"))
    for state in (State.PLANNED, State.EDITED):
        lease = tasks.move(lease, state, {"diff": "+ secret"})
    tasks.release(lease)
    tasks.told(10_000_000)
    return lease.task


def rows(tasks: Tasks) -> dict[str, set[str]]:
    """Of which tasks each table knows."""
    keys = {"tasks": "id", "events": "task", "steps": "task", "calls": "task"}
    with tasks.db.read() as db:
        return {
            table: {name for (name,) in db.execute(f"SELECT {key} FROM {table}")}
            for table, key in keys.items()
        }


def test_what_is_over_is_forgotten_with_all_that_belongs_to_it(tasks: Tasks, clock: Clock) -> None:
    forgetting = Forgetting(tasks, Path("/nowhere"), 30, 100)
    old = done(tasks)
    clock.now += 29 * DAY_S
    new = done(tasks)
    assert forgetting.some() == 0
    clock.now += DAY_S
    assert (forgetting.some(), forgetting.some()) == (1, 0)
    assert rows(tasks) == {table: {new.id} for table in ("tasks", "events", "steps", "calls")}
    with pytest.raises(RecordNotFound):
        tasks.get("acme", old.id)
    with pytest.raises(LeaseLost):
        tasks.renew(Lease(old, clock.now), 60)


def test_the_last_ones_are_kept(tasks: Tasks, clock: Clock) -> None:
    made = []
    for _ in range(5):
        made.append(done(tasks).id)
        clock.now += 1
    waits = tasks.create("acme", Mode.ADVISOR, request(SHOP)).id
    assert Forgetting(tasks, Path("/nowhere"), 30, 2).some() == 3
    assert rows(tasks)["tasks"] == {*made[-2:], waits}


def test_many_are_forgotten_piece_by_piece(tasks: Tasks, clock: Clock) -> None:
    for _ in range(PIECE + 1):
        done(tasks)
    clock.now += 31 * DAY_S
    forgetting = Forgetting(tasks, Path("/nowhere"), 30, 1000)
    assert [forgetting.some() for _ in range(3)] == [PIECE, 1, 0]


def test_what_the_journal_does_not_have_yet_is_kept(tasks: Tasks, clock: Clock) -> None:
    done(tasks)
    tasks.cancel("acme", tasks.create("acme", Mode.ADVISOR, request(SHOP)).id)
    clock.now += 1000 * DAY_S
    forgetting = Forgetting(tasks, Path("/nowhere"), 30, 1)
    assert forgetting.some() == 1
    tasks.told(10_000_000)
    assert forgetting.some() == 1


def test_nothing_is_made_where_nothing_is(tmp_path: Path, clock: Clock) -> None:
    tasks = Tasks(task_database(tmp_path / "autopilot"), clock)
    forgetting = Forgetting(tasks, tmp_path / "autopilot" / "copies", 30, 1)
    assert (forgetting.some(), forgetting.unneeded_copies()) == (0, 0)
    assert list(tmp_path.iterdir()) == []


# -- copies ---------------------------------------------------------------------------------------


def test_a_copy_goes_with_the_last_task_that_names_it(tasks: Tasks, clock: Clock, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    forgetting = Forgetting(tasks, folder, 30, 100)
    assert forgetting.unneeded_copies() == 0
    for remote in (SHOP, TILL):
        copy_of(folder, remote).mkdir(parents=True)
        (copy_of(folder, remote) / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / ".gone-of-a-process-that-was-killed" / "objects").mkdir(parents=True)
    (folder / "somebody's").mkdir()
    done(tasks, SHOP, TILL)
    clock.now += 20 * DAY_S
    done(tasks, TILL)
    assert forgetting.unneeded_copies() == 0
    clock.now += 11 * DAY_S
    assert forgetting.some() == 1
    assert (forgetting.unneeded_copies(), forgetting.unneeded_copies()) == (1, 0)
    assert {path.name for path in folder.iterdir()} == {copy_of(folder, TILL).name, "somebody's"}


@pytest.mark.parametrize("repositories", [None, "text", [1, "x", {}, {"remote": None}], {"remote": SHOP}])
def test_a_request_that_names_nothing_needs_no_copy(
    tasks: Tasks, tmp_path: Path, repositories: Any
) -> None:
    tasks.create("acme", Mode.ADVISOR, {"message": "x", "repositories": repositories})
    copy_of(tmp_path / "copies", SHOP).mkdir(parents=True)
    assert Forgetting(tasks, tmp_path / "copies", 30, 1).unneeded_copies() == 1


def test_a_repository_that_was_forgotten_is_worked_on_again(tmp_path: Path) -> None:
    with bench_in(tmp_path) as bench:
        forgetting = Forgetting(bench.tasks, bench.folder / "copies", 30, 100)
        assert worked(bench).state is State.PUSHED
        copy = copy_of(bench.folder / "copies", bench.remote())
        assert forgetting.unneeded_copies() == 0
        assert copy.exists()
        bench.tasks.told(10_000)
        bench.now += 31 * DAY_S
        assert (forgetting.some(), forgetting.unneeded_copies()) == (1, 1)
        assert not copy.exists()
        assert worked(bench).state is State.PUSHED


def worked(bench: Bench) -> Task:
    assert bench.begin(Mode.OPERATOR).request["message"] == MESSAGE
    return bench.run()


# -- the law --------------------------------------------------------------------------------------

KEEP_DAYS, KEEP = 3, 2


class Remembered(RuleBasedStateMachine):
    """Whatever happens, nothing alive is forgotten, nor what is new, and nothing is left of what is."""

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.tasks = Tasks(task_database(Path(self.place.name)), self.clock)
        self.folder = Path(self.place.name) / "copies"
        self.leases: list[Lease] = []

    @rule(remote=st.sampled_from((SHOP, TILL)), mode=st.sampled_from(Mode))
    def begin(self, remote: str, mode: Mode) -> None:
        with contextlib.suppress(Overloaded):
            self.tasks.create("acme", mode, request(remote))
            copy_of(self.folder, remote).mkdir(parents=True, exist_ok=True)

    @rule()
    def claim(self) -> None:
        if lease := self.tasks.claim(DAY_S):
            self.leases.append(lease)

    @rule(which=st.integers(0, 3), on=st.integers(1, 4))
    def go_on(self, which: int, on: int) -> None:
        for _ in range(on):
            for lease in self.leases[-1 - which : len(self.leases) - which]:
                with contextlib.suppress(LeaseLost, InvalidRequest, RecordNotFound):
                    here = self.tasks.get("acme", lease.task.id).state
                    self.tasks.move(lease, PATH[PATH.index(here) + 1] if here in PATH[:-1] else here)

    @rule(which=st.integers(0, 3), to=st.sampled_from([*sorted(ENDED), State.AWAITING_HUMAN]))
    def aside(self, which: int, to: State) -> None:
        for lease in self.leases[-1 - which : len(self.leases) - which]:
            with contextlib.suppress(LeaseLost, InvalidRequest):
                self.tasks.move(lease, to)

    @rule()
    def told(self) -> None:
        if waiting := self.tasks.untold():
            self.tasks.told(waiting[-1].place)

    @rule(days=st.floats(0, 4))
    def wait(self, days: float) -> None:
        self.clock.now += days * DAY_S

    @rule()
    def forget(self) -> None:
        before, untold = self.all(), {event.task for event in self.tasks.untold(10_000)}
        forgetting = Forgetting(self.tasks, self.folder, KEEP_DAYS, KEEP)
        counted = forgetting.some()
        after = self.all()
        gone = [task for task in before if task not in after]
        assert len(gone) == counted
        over = [task for task in before if task.finished]
        newest = sorted((task.updated for task in over), reverse=True)[:KEEP]
        for task in gone:
            assert task.finished
            assert task.id not in untold
            old = task.updated <= self.clock.now - KEEP_DAYS * DAY_S
            assert old or task.updated <= newest[-1]
        assert forgetting.some() == 0
        forgetting.unneeded_copies()
        if after:
            assert {copy_of(self.folder, self.remote(task)) for task in after} <= set(self.folder.iterdir())
            known = rows(self.tasks)
            assert known["events"] == known["tasks"] == {task.id for task in after}
            assert len(list(self.folder.iterdir())) == len({self.remote(task) for task in after})

    def all(self) -> list[Task]:
        return list(self.tasks.list("acme", limit=100)[0])

    def remote(self, task: Task) -> str:
        return str(task.request["repositories"][0]["remote"])

    def teardown(self) -> None:
        self.tasks.db.close()
        self.place.cleanup()


TestRemembered = Remembered.TestCase
TestRemembered.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
