"""What a policy said to a task's steps is kept once, before the step, and the journal hears of it."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.autopilot.pilot_bench import Bench, bench_in, decisions, policy
from tests.autopilot.pilots import Journal
from zoran_ray.autopilot import Mode, State, Task, TaskEvent, Tasks, task_database
from zoran_ray.autopilot.decisions import DECIDED, Decided, keep_decision
from zoran_ray.autopilot.telling import Telling, journal_event
from zoran_ray.errors import LeaseLost
from zoran_ray.journal import Entry, Event, Kind

ONE = Decided("merge", 0, "c" * 40, "deny", False, "merge.allowed", "p" * 64)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_in(tmp_path) as bench:
        yield bench


def heard_of(bench: Bench) -> list[Event]:
    """All that the journal hears."""
    journal = Journal()
    asyncio.run(Telling(bench.tasks, journal, lambda: None).once())
    return journal.events


# -- of a task ------------------------------------------------------------------------------------


def test_every_step_outside_has_its_decision_here_and_in_the_journal(bench: Bench) -> None:
    bench.begin(deploy="staging")
    task = bench.run()
    assert task.state is State.HEALTHY, task.facts
    kept, part = decisions(bench, task), bench.part(task)
    assert [each.what for each in kept] == [
        "paths", "action:git.push", "action:github.open_pr", "text", "merge", "deploy"
    ]  # fmt: skip
    assert {(each.repository, each.verdict, each.passed, each.policy) for each in kept} == {
        (0, "allow", True, part.policy)
    }
    assert [each.commit for each in kept] == [*[part.commit] * 5, part.merged]
    told = [event.meta for event in heard_of(bench) if event.kind is Kind.POLICY_DECISION]
    assert [(meta["task"], meta["what"], meta["rule"], meta["policy"]) for meta in told] == [
        (task.id, each.what, each.rule, each.policy) for each in kept
    ]


def test_a_refusal_is_kept_before_the_task_is_set_aside(bench: Bench) -> None:
    bench.policy = policy(actions={"forbid": ("git.push",)})
    bench.begin()
    task = bench.run()
    assert (task.state, bench.happened()) == (State.FAILED, (0, 0, 1))
    last = decisions(bench, task)[-1]
    assert (last.what, last.verdict, last.passed) == ("action:git.push", "deny", False)
    assert last.rule == "actions.forbid"
    *_, refused, moved = heard_of(bench)
    assert (refused.kind, refused.meta["rule"]) == (Kind.POLICY_DECISION, "actions.forbid")
    assert (moved.kind, moved.meta["to"]) == (Kind.TASK_TRANSITION, "failed")


def test_what_a_person_has_allowed_is_a_decision_of_its_own(bench: Bench) -> None:
    bench.policy = policy(merge={"min_confidence": 0.999})
    bench.begin()
    task = bench.run()
    bench.tasks.resume("acme", task.id)  # nobody has allowed it: it comes to the same
    task = bench.run()
    bench.approve(task, "merge")
    assert bench.run().state is State.MERGED
    merges = [each for each in decisions(bench, task) if each.what == "merge"]
    assert [(each.verdict, each.passed) for each in merges] == [
        ("needs_person", False),
        ("needs_person", True),
    ]
    assert {each.rule for each in merges} == {"merge.min_confidence"}


# -- of the file ----------------------------------------------------------------------------------

steps = st.builds(
    Decided,
    st.sampled_from(["merge", "deploy"]), st.integers(0, 1), st.sampled_from(["a" * 40, "b" * 40]),
    st.just("needs_person"), st.booleans(), st.just("merge.approvals"), st.sampled_from(["p", "q"]),
)  # fmt: skip


@given(st.lists(steps, max_size=12))
def test_of_a_step_only_what_has_changed_is_kept(asked: list[Decided]) -> None:
    with TemporaryDirectory() as folder:
        tasks = Tasks(task_database(Path(folder) / "state"), lambda: 1e9)
        made = tasks.create("t", Mode.SOVEREIGN, {})
        lease = tasks.claim(60.0)
        assert lease is not None
        for each in asked:
            keep_decision(tasks, lease, each)
        kept = [Decided(**e.data) for e in tasks.events(made.id) if e.kind == DECIDED]
        tasks.db.close()

    def step(one: Decided) -> tuple[str, int, str]:
        return one.what, one.repository, one.commit

    assert set(kept) == set(asked)
    for one in {step(each) for each in asked}:
        changed = [each for each, _ in itertools.groupby(each for each in asked if step(each) == one)]
        assert [each for each in kept if step(each) == one] == changed


def test_whoever_lost_the_task_decides_nothing(tmp_path: Path) -> None:
    now = [1e9]
    tasks = Tasks(task_database(tmp_path / "state"), lambda: now[0])
    made = tasks.create("t", Mode.SOVEREIGN, {})
    late = tasks.claim(60.0)
    now[0] += 100.0
    assert late is not None
    assert tasks.claim(60.0) is not None
    with pytest.raises(LeaseLost):
        keep_decision(tasks, late, ONE)
    assert DECIDED not in {event.kind for event in tasks.events(made.id)}


@given(st.text(max_size=200))
def test_no_rule_keeps_the_journal_from_hearing(rule: str) -> None:
    mode, goal, state = Mode.SOVEREIGN, State.MERGED, State.GATED
    task = Task("task_1", "t", "thread_1", mode, goal, state, None, {}, {}, 0.0, 0.0, 1, False)
    row = TaskEvent(3, task.id, 1e9, DECIDED, asdict(replace(ONE, rule=rule)))
    event = journal_event(row, task, None)
    assert Entry(event.kind, event.at_ms or 0, event.meta).data


def test_a_rule_of_the_policys_own_has_a_name_there_and_a_long_one_an_end(tmp_path: Path) -> None:
    tasks = Tasks(task_database(tmp_path / "state"), lambda: 1e9)
    task = tasks.create("t", Mode.SOVEREIGN, {})
    lease = tasks.claim(60.0)
    assert lease is not None
    for rule in ("built in: head", "r" * 1000):
        keep_decision(tasks, lease, replace(ONE, rule=rule))
    told = [journal_event(event, task, None).meta for event in tasks.untold()]
    assert [meta["rule"] for meta in told if "rule" in meta] == ["built_in:head", "r" * 160]
