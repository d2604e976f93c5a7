"""A pilot takes tasks from a request as far as their mode goes, over real git and pull requests."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.autopilot.github_stand_in import Moment, Reply
from tests.autopilot.pilot_bench import (
    MESSAGE,
    NAME,
    PLAN,
    RIGHT,
    WRONG,
    Bench,
    bench_in,
    kinds,
    path_of,
    policy,
    say,
)
from tests.autopilot.test_testing import BASE, FIXED
from zoran_ray.autopilot import Mode, State
from zoran_ray.autopilot.forge import Forge, PlainRemote
from zoran_ray.autopilot.pilot import diff_of, parts_of
from zoran_ray.errors import LeaseLost
from zoran_ray.policy import OVERRIDE_FILE
from zoran_ray.tools.code_runner import NoRunner


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_in(tmp_path) as bench:
        yield bench


def test_a_sovereign_task_ends_merged(bench: Bench) -> None:
    bench.begin()
    task = bench.run()
    assert task.state is State.MERGED, task.facts
    assert path_of(bench, task) == [
        "received", "planned", "edited", "tested", "pushed", "pr_open", "gated", "merged"
    ]  # fmt: skip
    part = bench.part(task)
    assert bench.happened() == (1, 1, 3)
    assert bench.hosted.git.file("main", "calc.py") == FIXED
    assert bench.hosted.git.commit_of("main") == part.merged
    assert bench.hosted.git.parents(part.merged or "") == [part.base, part.commit]
    body = bench.hosted.pulls[1].body or ""
    assert "Add instead of subtracting" in body
    assert "test_add" in body
    assert f"Root `{'ab' * 32}`" in body
    assert f"{part.confidence:.3f}" in body


def test_what_others_hear_holds_no_word_of_the_model_and_no_diff(bench: Bench) -> None:
    bench.begin(Mode.OPERATOR)
    task = bench.run()
    told = json.dumps([event.data for event in bench.tasks.events(task.id)])
    assert kinds(bench, task) == ["planned", "attempt", "attempt", "decision", "decision"]
    for words in ("instead of subtracting", "a - b", "a + b", "assert"):
        assert words not in told
    assert bench.part(task).commit in told


def test_an_operator_pushes_a_branch_and_no_more(bench: Bench) -> None:
    bench.begin(Mode.OPERATOR)
    task = bench.run()
    assert task.state is State.PUSHED, task.facts
    assert bench.happened() == (1, 0, 1)
    assert bench.hosted.git.commit_of(f"zoran/{task.id}") == bench.part(task).commit
    assert "+    return a + b" in diff_of(task)
    assert task.facts["spent"]["calls"] == 2
    assert task.facts["plan"]["text"] == PLAN.strip()


def test_an_autopilot_opens_a_pull_request(bench: Bench) -> None:
    bench.begin(Mode.AUTOPILOT)
    task = bench.run()
    assert task.state is State.PR_OPEN, task.facts
    assert bench.happened() == (1, 1, 1)


def test_an_advisor_writes_nothing_and_needs_no_sandbox(bench: Bench) -> None:
    bench.runner, bench.policy = NoRunner(), policy(mode_max="advisor")
    bench.begin(Mode.ADVISOR)
    task = bench.run()
    assert task.state is State.EDITED, task.facts
    assert bench.happened() == (0, 0, 1)
    assert "+    return a + b" in diff_of(task)
    assert bench.part(task).plan is not None


def test_an_advisor_says_what_it_could_not_prove(bench: Bench) -> None:
    bench.say = lambda prompt, call: say(prompt, call, WRONG)
    bench.begin(Mode.ADVISOR)
    task = bench.run()
    assert task.state is State.EDITED, task.facts
    assert "a * b" in diff_of(task)
    assert (bench.part(task).confidence or 1) < 0.5


def test_without_a_sandbox_nothing_else_goes_on(bench: Bench) -> None:
    bench.runner = NoRunner()
    bench.begin(Mode.OPERATOR)
    task = bench.run()
    assert (task.state, task.facts["failed"]["code"]) == (State.FAILED, "sandbox_unavailable")
    assert bench.model.prompts == []


def test_a_mode_above_the_policys_is_refused(bench: Bench) -> None:
    bench.policy = policy(mode_max="operator")
    bench.begin(Mode.AUTOPILOT)
    task = bench.run()
    assert task.state is State.FAILED
    assert "mode_max" in task.facts["failed"]["why"]
    assert bench.model.prompts == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"mode_max: operator\n", "permission_denied"),
        (b"changes: {max_files: 100000}\n", "config_error"),
        (b"merge: [", "config_error"),
    ],
)
def test_the_base_commits_own_rules_hold(bench: Bench, text: bytes, code: str) -> None:
    bench.hosted.git.put("main", {OVERRIDE_FILE: text}, "rules")
    bench.begin(Mode.AUTOPILOT)
    task = bench.run()
    assert (task.state, task.facts["failed"]["code"]) == (State.FAILED, code)
    assert bench.happened()[:2] == (0, 0)


def test_what_is_not_proven_is_not_pushed(bench: Bench) -> None:
    bench.say = lambda prompt, call: say(prompt, call, WRONG)
    bench.begin()
    task = bench.run()
    assert task.state is State.FAILED
    assert task.facts["failed"]["why"].startswith("No try was proven. No test that failed before")
    assert [attempt.number for attempt in bench.part(task).attempts] == [1, 2, 3]
    bench.tasks.resume("acme", task.id)
    assert bench.run().state is State.FAILED
    assert len(bench.model.prompts) == 4
    assert bench.happened() == (0, 0, 1)


def test_a_second_try_mends_it(bench: Bench) -> None:
    bench.say = lambda prompt, call: say(prompt, call, RIGHT if call > 1 else WRONG)
    bench.begin(Mode.OPERATOR)
    task = bench.run()
    assert task.state is State.PUSHED, task.facts
    assert "planned" in path_of(bench, task)[3:]


def test_a_remote_without_pull_requests_gets_its_branch(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plain(remote: str) -> Forge:
        return PlainRemote("This remote is no forge.")

    monkeypatch.setattr(bench, "forge", plain)
    bench.begin(Mode.AUTOPILOT, [f"file://{bench.hosted.git.folder}"])
    task = bench.run()
    assert (task.state, task.before) == (State.FAILED, State.PUSHED)
    assert "Operator mode is as far" in task.facts["failed"]["why"]
    assert bench.happened() == (1, 0, 1)


def test_several_repositories_have_pull_requests_that_refer_to_each_other(bench: Bench) -> None:
    well = bench.github.add_repository("acme/well")
    well.git.put("main", {**BASE, "calc.py": FIXED}, "first")
    more = bench.github.add_repository("acme/more")
    more.git.put("main", BASE, "first")
    bench.policy = policy(actions={"ask": ()})
    bench.begin(remotes=[bench.remote(), bench.remote("acme/well"), bench.remote("acme/more")])
    task = bench.run()
    assert task.state is State.MERGED, task.facts
    assert [part.ended for part in parts_of(task)] == ["proven", "untouched", "proven"]
    assert (len(well.pulls), len(more.pulls)) == (0, 1)
    assert f"/{NAME}/pull/1" in (more.pulls[1].body or "")
    assert "/acme/more/pull/1" in bench.hosted.comments[1][0].body
    assert [hosted.git.count("main") for hosted in (bench.hosted, well, more)] == [3, 1, 3]
    assert diff_of(task).count("diff --git") == 2
    assert "In another repository of this task" in bench.model.prompts[-1]


class Memory:
    """Remembers in a list."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str]] = []

    async def find(self, owner: str, text: str) -> str:
        return f"Of {owner}: {text} once came of a sign."

    async def keep(self, owner: str, text: str) -> None:
        self.kept.append((owner, text))


def test_past_fixes_are_told_and_new_ones_kept(bench: Bench) -> None:
    bench.memory = memory = Memory()
    bench.begin(Mode.OPERATOR)
    assert bench.run().state is State.PUSHED
    assert f"Of acme: {MESSAGE} once came of a sign." in bench.model.prompts[0]
    ((owner, text),) = memory.kept
    assert owner == "acme"
    assert f'"{MESSAGE}" was mended in calc.py of {bench.remote()}' in text


def test_a_memory_that_fails_fails_no_task(bench: Bench) -> None:
    class Gone(Memory):
        async def find(self, owner: str, text: str) -> str:
            raise OSError

    bench.memory = Gone()
    bench.begin(Mode.OPERATOR)
    assert bench.run().state is State.PUSHED


def test_a_budget_that_is_spent_ends_the_task(bench: Bench) -> None:
    bench.policy = policy(budgets={"tokens": 10})
    bench.begin()
    task = bench.run()
    assert (task.state, task.facts["failed"]["code"]) == (State.FAILED, "budget")


def test_what_passes_is_tried_again(bench: Bench) -> None:
    bench.begin()
    bench.github.fault("POST", "/pulls$", Moment.AFTER, lambda: None)
    bench.github.fault("PUT", "/merge$", Moment.BEFORE, lambda: Reply(502))
    assert bench.run().state is State.MERGED
    assert bench.happened() == (1, 1, 3)


def test_what_does_not_pass_sets_the_task_aside_until_it_is_resumed(bench: Bench) -> None:
    task = bench.begin()
    busy = {"retry-after": "600"}
    bench.github.fault("POST", "/pulls$", Moment.BEFORE, lambda: Reply(429, {"message": "slow"}, busy))
    task = bench.run()
    assert (task.state, task.facts["failed"]["code"]) == (State.FAILED, "provider_busy")
    bench.tasks.resume("acme", task.id)
    task = bench.run()
    assert (task.state, task.facts["failed"]) == (State.MERGED, None)


def test_a_bug_of_ours_sets_the_task_aside_without_its_text(bench: Bench) -> None:
    def broken(prompt: str, call: int) -> str:
        raise ValueError("secret words")

    bench.say = broken
    bench.begin()
    task = bench.run()
    assert (task.state, task.facts["failed"]["code"]) == (State.FAILED, "internal_error")
    assert "secret" not in json.dumps(task.facts)


def test_a_task_that_is_cancelled_ends_at_once(bench: Bench) -> None:
    task = bench.begin()
    bench.settings = replace(bench.settings, lease_s=0.3)

    async def cancelled() -> State:
        asked = asyncio.Event()

        class Silent:
            async def __call__(self, *_: object, deadline: float) -> None:
                asked.set()
                await asyncio.Event().wait()

            most = bench.model.most

        bench.model = Silent()  # type: ignore[assignment]
        running = asyncio.create_task(bench.pilot().run(bench.claim()))
        await asked.wait()
        bench.tasks.cancel("acme", task.id)
        return (await running).state

    assert asyncio.run(cancelled()) is State.CANCELLED
    assert bench.happened() == (0, 0, 1)


def test_a_lease_that_is_lost_stops_everything(bench: Bench) -> None:
    task = bench.begin()

    def late(prompt: str, call: int) -> str:
        bench.now += 1000
        assert bench.tasks.claim(60.0) is not None
        return say(prompt, call)

    bench.say = late
    with pytest.raises(LeaseLost):
        bench.run()
    assert bench.tasks.get("acme", task.id).state is State.RECEIVED
    assert len(bench.model.prompts) == 1


def test_a_task_without_its_target_is_not_begun(bench: Bench) -> None:
    bench.begin(deploy="moon")
    task = bench.run()
    assert (task.state, task.facts["failed"]["code"]) == (State.FAILED, "no_target")
    assert bench.model.prompts == []
