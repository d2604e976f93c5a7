"""Where tasks stand: legal moves only, one worker at a time, nothing lost."""

import contextlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.clock import Clock
from zoran_ray.access.private_db import PrivateDatabase
from zoran_ray.autopilot import Lease, Mode, State, Tasks, task_database
from zoran_ray.autopilot.calls import kept_calls
from zoran_ray.autopilot.database import CALLS, DATABASE, SCHEMA
from zoran_ray.autopilot.lapses import MOST_LAPSES
from zoran_ray.autopilot.task import ENDED, PATH, lowest, may_follow, mode_of
from zoran_ray.autopilot.tasks import MOST_UNFINISHED
from zoran_ray.errors import InvalidRequest, LeaseLost, Overloaded, RecordNotFound

REQUEST = {"message": "the sum is wrong"}


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def tasks(tmp_path: Path, clock: Clock) -> Tasks:
    tmp_path.chmod(0o700)
    return Tasks(task_database(tmp_path), clock)


def claimed(tasks: Tasks) -> Lease:
    lease = tasks.claim(60)
    assert lease is not None
    return lease


def test_a_task_goes_its_way_to_its_goal(tasks: Tasks) -> None:
    made = tasks.create("acme", Mode.SOVEREIGN, REQUEST)
    lease = claimed(tasks)
    for state in PATH[1:]:
        lease = tasks.move(lease, state, {f"at_{state}": True})
    task = tasks.get("acme", made.id)
    assert task.state is State.HEALTHY
    assert task.finished
    assert task.facts["at_planned"]
    assert [event.data["to"] for event in tasks.events(task.id)] == list(PATH)
    assert tasks.claim(60) is None


@pytest.mark.parametrize(
    ("mode", "goal"),
    [(Mode.ADVISOR, State.EDITED), (Mode.OPERATOR, State.PUSHED), (Mode.AUTOPILOT, State.PR_OPEN)],
)
def test_a_lower_mode_ends_sooner(tasks: Tasks, mode: Mode, goal: State) -> None:
    tasks.create("acme", mode, REQUEST)
    lease = claimed(tasks)
    for state in PATH[1 : PATH.index(goal) + 1]:
        lease = tasks.move(lease, state)
    assert lease.task.finished
    with pytest.raises(InvalidRequest, match="does not become"):
        tasks.move(lease, PATH[PATH.index(goal) + 1])


def test_a_state_cannot_be_jumped_over(tasks: Tasks) -> None:
    tasks.create("acme", Mode.SOVEREIGN, REQUEST)
    lease = claimed(tasks)
    with pytest.raises(InvalidRequest, match="received does not become merged"):
        tasks.move(lease, State.MERGED)


def test_what_the_world_has_seen_is_rolled_back_and_not_cancelled() -> None:
    assert not may_follow(State.MERGED, State.CANCELLED)
    assert may_follow(State.MERGED, State.ROLLING_BACK)
    assert not may_follow(State.AWAITING_HUMAN, State.PLANNED)


def test_a_worker_that_was_silent_too_long_writes_nothing_more(tasks: Tasks, clock: Clock) -> None:
    tasks.create("acme", Mode.OPERATOR, REQUEST)
    slow = claimed(tasks)
    assert tasks.claim(60) is None
    clock.now += 61
    quick = claimed(tasks)
    assert quick.fence == slow.fence + 1
    for write in (
        lambda: tasks.move(slow, State.PLANNED),
        lambda: tasks.renew(slow, 60),
        lambda: tasks.note(slow, "note", {}),
    ):
        with pytest.raises(LeaseLost):
            write()
    tasks.release(slow)
    assert tasks.claim(60) is None, "only its holder lets go of a lease"
    assert tasks.move(quick, State.PLANNED).task.state is State.PLANNED


def test_a_lease_that_is_renewed_or_let_go(tasks: Tasks, clock: Clock) -> None:
    tasks.create("acme", Mode.OPERATOR, REQUEST)
    lease = claimed(tasks)
    clock.now += 50
    tasks.renew(lease, 60)
    clock.now += 50
    assert tasks.claim(60) is None
    tasks.release(lease)
    assert claimed(tasks).fence == lease.fence + 1


def test_a_person_resumes_what_was_set_aside(tasks: Tasks) -> None:
    made = tasks.create("acme", Mode.OPERATOR, REQUEST)
    lease = tasks.move(claimed(tasks), State.PLANNED)
    tasks.move(lease, State.AWAITING_HUMAN, {"asks": "may I?"})
    assert tasks.claim(60) is None
    task = tasks.resume("acme", made.id, {"approved": True})
    assert (task.state, task.facts) == (State.PLANNED, {"asks": "may I?", "approved": True})
    lease = claimed(tasks)
    tasks.move(lease, State.FAILED, {"reason": "no model"})
    assert tasks.resume("acme", made.id).state is State.PLANNED
    with pytest.raises(InvalidRequest, match="nothing to resume"):
        tasks.resume("acme", made.id)


def test_cancel_ends_an_idle_task_and_asks_a_busy_one(tasks: Tasks) -> None:
    idle = tasks.create("acme", Mode.OPERATOR, REQUEST)
    assert tasks.cancel("acme", idle.id).state is State.CANCELLED
    with pytest.raises(InvalidRequest, match="cancelled already"):
        tasks.cancel("acme", idle.id)
    busy = tasks.create("acme", Mode.OPERATOR, REQUEST)
    lease = claimed(tasks)
    assert tasks.cancel("acme", busy.id).state is State.RECEIVED
    assert tasks.renew(lease, 60).task.cancelling
    assert tasks.move(lease, State.CANCELLED).task.finished


def test_cancel_of_a_task_that_waits_for_a_person(tasks: Tasks) -> None:
    made = tasks.create("acme", Mode.OPERATOR, REQUEST)
    lease = claimed(tasks)
    tasks.move(lease, State.AWAITING_HUMAN)
    tasks.release(lease)
    assert tasks.cancel("acme", made.id).state is State.CANCELLED


def test_another_owner_sees_nothing(tasks: Tasks) -> None:
    made = tasks.create("acme", Mode.OPERATOR, REQUEST)
    for ask in (tasks.get, tasks.cancel, tasks.resume):
        with pytest.raises(RecordNotFound, match="no such task"):
            ask("other", made.id)
    with pytest.raises(RecordNotFound, match="no such thread"):
        tasks.create("other", Mode.OPERATOR, REQUEST, thread=made.thread)
    assert tasks.list("other") == ((), False)


def test_threads_and_pages(tasks: Tasks) -> None:
    first = tasks.create("acme", Mode.ADVISOR, REQUEST)
    second = tasks.create("acme", Mode.ADVISOR, REQUEST, thread=first.thread)
    third = tasks.create("acme", Mode.ADVISOR, REQUEST)
    assert [task.id for task in tasks.list("acme", thread=first.thread)[0]] == [second.id, first.id]
    page, more = tasks.list("acme", limit=2)
    assert ([task.id for task in page], more) == ([third.id, second.id], True)
    assert [task.id for task in tasks.list("acme", after=second.id)[0]] == [first.id]


def test_an_owner_has_a_bound(tasks: Tasks) -> None:
    for _ in range(MOST_UNFINISHED):
        tasks.create("acme", Mode.ADVISOR, REQUEST)
    with pytest.raises(Overloaded, match="not finished yet"):
        tasks.create("acme", Mode.ADVISOR, REQUEST)
    tasks.create("other", Mode.ADVISOR, REQUEST)


def test_moves_wait_until_the_journal_has_them(tasks: Tasks) -> None:
    tasks.create("acme", Mode.ADVISOR, REQUEST)
    lease = claimed(tasks)
    tasks.note(lease, "asked", {"tokens": 5})
    tasks.move(lease, State.PLANNED)
    waiting = tasks.untold()
    assert [event.data["to"] for event in waiting] == ["received", "planned"]
    tasks.told(waiting[0].place)
    assert [event.data["to"] for event in tasks.untold()] == ["planned"]


def test_what_is_known_is_more_than_what_is_told(tasks: Tasks, clock: Clock) -> None:
    tasks.create("acme", Mode.OPERATOR, {})
    lease = tasks.learn(claimed(tasks), {"diff": "-a", "plan": 1})
    lease = tasks.move(lease, State.PLANNED, {"diff": "-b"}, {"commit": "c"})
    assert lease.task.facts == {"diff": "-b", "plan": 1}
    assert [event.data.get("facts") for event in tasks.untold()][1:] == [{"commit": "c"}]
    clock.now += 1000
    assert tasks.claim(60) is not None
    with pytest.raises(LeaseLost):
        tasks.learn(lease, {"diff": "-d"})


def test_modes(tasks: Tasks) -> None:
    assert lowest(Mode.SOVEREIGN, Mode.OPERATOR, Mode.AUTOPILOT) is Mode.OPERATOR
    with pytest.raises(InvalidRequest, match="advisor, operator, autopilot, sovereign"):
        mode_of("god")


def test_who_ends_every_worker_is_set_aside_until_a_person_resumes_it(tasks: Tasks, clock: Clock) -> None:
    made = tasks.create("acme", Mode.OPERATOR, REQUEST)
    tasks.move(claimed(tasks), State.PLANNED)
    for _ in range(MOST_LAPSES - 1):
        clock.now += 61
        claimed(tasks)
    other = tasks.create("acme", Mode.OPERATOR, REQUEST)
    clock.now += 61
    assert claimed(tasks).task.id == other.id
    task = tasks.get("acme", made.id)
    assert (task.state, task.before, task.facts["failed"]["code"]) == (
        State.FAILED, State.PLANNED, "worker_lost"
    )  # fmt: skip
    assert task.facts["failed"]["why"].startswith("3 workers ended without a word")
    assert [event.data["to"] for event in tasks.untold() if event.task == made.id][-1] == "failed"
    assert tasks.resume("acme", made.id).state is State.PLANNED
    for _ in range(MOST_LAPSES):
        assert claimed(tasks).task.id == made.id  # it has as many again
        clock.now += 61
    assert tasks.get("acme", made.id).state is State.PLANNED


def test_who_is_let_go_or_moves_on_was_not_left(tasks: Tasks, clock: Clock) -> None:
    made = tasks.create("acme", Mode.SOVEREIGN, REQUEST)
    for state in PATH[1:6]:
        for _ in range(2 * MOST_LAPSES):
            tasks.release(claimed(tasks))
        for _ in range(MOST_LAPSES - 1):
            claimed(tasks)
            clock.now += 61
        tasks.move(lease := claimed(tasks), state)
        tasks.release(lease)
    assert tasks.get("acme", made.id).state is PATH[5]


SECOND = SCHEMA.replace(f"{CALLS};", "")
FIRST = SECOND.replace(", lapses INTEGER NOT NULL DEFAULT 0", "").replace(
    "CREATE INDEX tasks_by_state ON tasks (state, mode);\n", ""
)


@pytest.mark.parametrize("older", [(FIRST,), (SECOND, [])])
def test_a_file_of_before_is_brought_up_to_date(older: Any, tmp_path: Path, clock: Clock) -> None:
    tmp_path.chmod(0o700)
    schema, *upgrades = older
    before = PrivateDatabase(tmp_path / DATABASE, schema, "The file", "begin anew", upgrades=upgrades)
    with before.write() as db:
        db.execute(
            "INSERT INTO tasks (id, owner, thread, mode, goal, state, request, facts, created, updated)"
            " VALUES ('task_1', 'acme', 't', 'operator', 'pushed', 'planned', '{}', '{}', 0, 0)"
        )
    tasks = Tasks(task_database(tmp_path), clock)
    assert claimed(tasks).task.id == "task_1"
    assert tasks.standing() == {(State.PLANNED, Mode.OPERATOR): 1}
    assert kept_calls(tasks, "task_1") == ()


class Life(RuleBasedStateMachine):
    """Whatever workers, people and clocks do, states follow one another, each move is told once, and nobody
    works on what ended the workers before again and again.
    """

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock(1000.0)
        self.tasks = Tasks(task_database(Path(self.folder.name)), self.clock)
        self.task = self.tasks.create("acme", Mode.SOVEREIGN, REQUEST)
        self.leases: list[Lease] = []
        self.claims = 0, 0

    @rule()
    def claim(self) -> None:
        if lease := self.tasks.claim(10):
            self.leases.append(lease)
            since, moves = self.claims
            now = len(self.moves())
            self.claims = (since + 1 if now == moves else 1), now
            assert self.claims[0] <= MOST_LAPSES

    def moves(self) -> list[Mapping[str, Any]]:
        events = self.tasks.events(self.task.id)
        return [event.data for event in events if event.kind == "transition"]

    @rule(seconds=st.floats(0, 12))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self.leases)
    @rule(which=st.integers(0, 3), to=st.sampled_from(State))
    def move(self, which: int, to: State) -> None:
        lease = self.leases[-1 - which % len(self.leases)]
        before = self.tasks.get("acme", self.task.id)
        try:
            self.tasks.move(lease, to)
        except LeaseLost:
            assert lease.fence != before.fence or before.state in ENDED
        except InvalidRequest:
            assert before.finished or not may_follow(before.state, to)
        else:
            assert lease.fence == before.fence

    @rule()
    def resume(self) -> None:
        with contextlib.suppress(InvalidRequest):
            self.tasks.resume("acme", self.task.id)

    @rule()
    def cancel(self) -> None:
        with contextlib.suppress(InvalidRequest):
            self.tasks.cancel("acme", self.task.id)

    @invariant()
    def moves_join(self) -> None:
        moves = self.moves()
        assert moves[0]["from"] is None
        assert all(one["to"] == two["from"] for one, two in itertools.pairwise(moves))
        assert moves[-1]["to"] == self.tasks.get("acme", self.task.id).state
        assert len(self.tasks.untold(10_000)) == len(moves)

    def teardown(self) -> None:
        self.tasks.db.close()
        self.folder.cleanup()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
