"""The office: what may be asked, who works, what is told, and that nothing is lost on the way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.autopilot.pilots import Course, Journal, repository, request_fields
from zoran_ray.autopilot import Lease, Mode, State, Task, Tasks
from zoran_ray.autopilot.database import FOLDER
from zoran_ray.autopilot.office import Rules, TaskOffice
from zoran_ray.autopilot.remote import Whereabouts
from zoran_ray.errors import InvalidRequest, LeaseLost, RecordNotFound
from zoran_ray.policy import Policy

Make = Callable[..., Any]


def rules(policy: Policy | None = None, **fields: Any) -> Rules:
    given = policy or Policy(mode_max="sovereign")
    return Rules(
        lambda: given, lambda key_id: Whereabouts(open=key_id == "anybody"), "local/m", ("shop",), **fields
    )


@pytest.fixture
def repo(tmp_path: Path) -> str:
    return str(repository(tmp_path / "repo"))


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Offices over one folder, one after the other or beside each other."""
    (tmp_path / "state").mkdir(mode=0o700)
    begun: list[TaskOffice] = []

    async def made(
        pilot: Callable[[Tasks], Any] = Course, journal: Any = None, **fields: Any
    ) -> TaskOffice:
        told = journal or Journal()
        office = TaskOffice(tmp_path / "state", rules(**fields), pilot, told)
        await office.begin()
        begun.append(office)
        return office

    yield made
    for office in begun:
        await office.stop()


async def until(office: TaskOffice, task: Task, *states: State) -> Task:
    async with asyncio.timeout(10):
        while (now := await office.task(task.owner, task.id)).state not in states:
            await asyncio.sleep(0.01)
    return now


# -- tasks and workers ----------------------------------------------------------------------------


async def test_a_task_goes_to_its_goal_and_the_journal_hears_of_every_move(make: Make, repo: str) -> None:
    journal = Journal()
    office = await make(journal=journal)
    task = await office.start("t", "anybody", request_fields(repo))
    assert (task.state, task.mode, task.request["model"]) == (State.RECEIVED, Mode.OPERATOR, "local/m")
    await until(office, task, State.PUSHED)
    events = await office.events("t", task.id)
    assert [event.data["to"] for event in events] == ["received", "planned", "edited", "tested", "pushed"]
    async with asyncio.timeout(10):
        while len(journal.events) < 5:
            await asyncio.sleep(0.01)
    told = [event.meta for event in journal.events]
    assert [each["to"] for each in told] == [event.data["to"] for event in events]
    assert [each["place"] for each in told] == [event.place for event in events]
    assert all(
        each["policy"] and event.tenant == "t" for each, event in zip(told, journal.events, strict=True)
    )
    assert "wrong" not in repr(told)


async def test_a_journal_that_is_away_loses_nothing(make: Make, repo: str) -> None:
    journal = Journal(refuses=3)
    office = await make(journal=journal)
    office._telling._rest_s = 0.01
    task = await office.start("t", "anybody", request_fields(repo))
    await until(office, task, State.PUSHED)
    async with asyncio.timeout(10):
        while len(journal.events) < 5:
            await asyncio.sleep(0.01)
    assert [event.meta["to"] for event in journal.events] == [
        "received",
        "planned",
        "edited",
        "tested",
        "pushed",
    ]


async def test_a_mode_is_lowered_and_says_so(make: Make, repo: str) -> None:
    office = await make(policy=Policy(mode_max="advisor"))
    task = await office.start("t", "anybody", request_fields(repo) | {"mode": "sovereign"})
    assert (task.mode, task.goal, task.request["mode_asked"]) == (Mode.ADVISOR, State.EDITED, "sovereign")


@pytest.mark.parametrize(("deploy", "goal"), [(None, State.MERGED), ("shop", State.HEALTHY)])
async def test_sovereign_ends_where_there_is_nothing_more_to_do(
    make: Make, repo: str, deploy: Any, goal: State
) -> None:
    office = await make()
    task = await office.start(
        "t", "anybody", request_fields(repo) | {"mode": "sovereign", "deploy": deploy}
    )
    assert task.goal is goal
    await until(office, task, goal)


async def test_nobody_sees_anothers(make: Make, repo: str) -> None:
    office = await make()
    task = await office.start("t", "anybody", request_fields(repo))
    for ask in (office.task, office.events, office.trace, office.diff, office.cancel, office.resume):
        with pytest.raises(RecordNotFound):
            await ask("u", task.id)
    with pytest.raises(RecordNotFound):
        await office.approve("u", task.id, "ben")
    with pytest.raises(RecordNotFound):
        await office.start("u", "anybody", request_fields(repo) | {"thread_id": task.thread})
    assert await office.tasks("u", None, None, 20) == ((), False)


async def test_a_thread_goes_on_where_it_was(make: Make, repo: str) -> None:
    office = await make()
    first = await office.start("t", "anybody", request_fields(repo))
    await until(office, first, State.PUSHED)
    second = await office.start("t", "anybody", {"message": "And the sum.", "thread_id": first.thread})
    assert (second.thread, second.request["repositories"]) == (first.thread, first.request["repositories"])
    assert "The discount is wrong." in second.request["known"]
    assert "pushed" in second.request["known"]
    found, more = await office.tasks("t", first.thread, None, 20)
    assert ([task.id for task in found], more) == ([second.id, first.id], False)


# -- people ---------------------------------------------------------------------------------------


async def test_what_waits_for_a_person_goes_on_with_an_approval_of_that_commit(
    make: Make, repo: str
) -> None:
    office = await make(lambda tasks: Course(tasks, asks_at=State.TESTED))
    task = await office.start("t", "anybody", request_fields(repo))
    waits = await until(office, task, State.AWAITING_HUMAN)
    for wrong in ({"what": "merge"}, {"commit": "f" * 40}):
        with pytest.raises(InvalidRequest):
            await office.approve("t", task.id, "ann", **wrong)
    await office.approve("t", task.id, "ann", "paths", "c" * 40)
    done = await until(office, task, State.PUSHED)
    (approved,) = done.facts["approved"]
    assert {**approved, "at": 0} == {"what": "paths", "commit": "c" * 40, "by": "ann", "at": 0}
    assert waits.facts["awaiting"]["commit"] == approved["commit"]
    with pytest.raises(InvalidRequest):
        await office.approve("t", task.id, "ann")


async def test_what_no_approval_can_give_is_not_approved(make: Make, repo: str) -> None:
    office = await make(lambda tasks: Course(tasks, asks_at=State.TESTED, commit=None))
    task = await office.start("t", "anybody", request_fields(repo))
    await until(office, task, State.AWAITING_HUMAN)
    with pytest.raises(InvalidRequest, match="resume"):
        await office.approve("t", task.id, "ann")
    assert (await office.task("t", task.id)).state is State.AWAITING_HUMAN


async def test_two_approvals_at_once_count_once(make: Make, repo: str) -> None:
    office = await make(lambda tasks: Course(tasks, asks_at=State.TESTED))
    task = await office.start("t", "anybody", request_fields(repo))
    await until(office, task, State.AWAITING_HUMAN)
    both = await asyncio.gather(
        *(office.approve("t", task.id, "ann") for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in both) == ["InvalidRequest", "Task"]


async def test_a_cancellation_stops_the_work_at_once(make: Make, repo: str) -> None:
    office = await make(lambda tasks: Course(tasks, hangs_at=State.PLANNED))
    task = await office.start("t", "anybody", request_fields(repo))
    await until(office, task, State.PLANNED)
    await office.cancel("t", task.id)
    await until(office, task, State.CANCELLED)
    again = await office.start("t", "anybody", request_fields(repo))
    await until(office, again, State.PLANNED)  # the worker is there still


async def test_an_unforeseen_failure_is_set_aside_and_resumed(make: Make, repo: str) -> None:
    office = await make(lambda tasks: Course(tasks, breaks_once_at=State.EDITED))
    task = await office.start("t", "anybody", request_fields(repo))
    failed = await until(office, task, State.FAILED)
    assert failed.facts["failed"]["code"] == "internal_error"
    assert "secret" not in str(failed.facts)
    await office.resume("t", task.id)
    await until(office, task, State.PUSHED)


async def test_what_a_stopped_office_left_the_next_one_takes_up(make: Make, repo: str) -> None:
    office = await make(lambda tasks: Course(tasks, hangs_at=State.EDITED))
    task = await office.start("t", "anybody", request_fields(repo))
    await until(office, task, State.EDITED)
    await office.stop()
    await until(await make(), task, State.PUSHED)


async def test_each_worker_has_a_task_of_its_own(make: Make, repo: str) -> None:
    office = await make(lambda tasks: Course(tasks, hangs_at=State.RECEIVED), workers=2)
    for _ in range(3):
        await office.start("t", "anybody", request_fields(repo))
    async with asyncio.timeout(10):
        while len(office._workers._running) < 2:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert len(office._workers._running) == 2


# -- events ---------------------------------------------------------------------------------------


async def test_events_are_waited_for_and_come_once(make: Make, repo: str) -> None:
    office = await make(lambda tasks: Course(tasks, asks_at=State.TESTED))
    task = await office.start("t", "anybody", request_fields(repo))
    waits = await until(office, task, State.AWAITING_HUMAN)
    seen = list(await office.events("t", task.id))
    assert await office.events("t", task.id, seen[-1].place) == ()
    later = asyncio.create_task(office.events("t", task.id, seen[-1].place, 10.0))
    await asyncio.sleep(0.05)
    await office.approve("t", task.id, "ann")
    more = await later
    assert more[0].data["from"] == waits.state
    await until(office, task, State.PUSHED)
    places = [event.place for event in await office.events("t", task.id)]
    assert places == sorted(set(places))
    assert await office.events("t", task.id, places[-1], 30.0) == ()  # at once: it is finished


async def test_nothing_is_on_the_disk_before_the_first_task(make: Make, tmp_path: Path) -> None:
    office = await make()
    assert await office.tasks("t", None, None, 20) == ((), False)
    assert not (tmp_path / "state" / FOLDER).exists()


async def test_a_lease_that_is_lost_ends_no_worker(make: Make, repo: str) -> None:
    class Loses(Course):
        async def run(self, lease: Lease) -> Task:
            if not self.seen:
                self.seen = True
                raise LeaseLost("another has it")
            return await super().run(lease)

    office = await make(Loses)
    task = await office.start("t", "anybody", request_fields(repo))
    await until(office, task, State.PUSHED)
