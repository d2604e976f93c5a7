"""What keeps a pilot from merging and deploying, and what it does when something moved or is not well."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.autopilot.github_stand_in import User
from tests.autopilot.pilot_bench import TOKEN, Bench, Place, bench_in, kinds, path_of, policy
from tests.autopilot.test_testing import BUGGY, FIXED
from zoran_ray.autopilot import State, Task
from zoran_ray.autopilot.deploy import Health, Release
from zoran_ray.autopilot.forge import Forge, MergeMethod, forge_of
from zoran_ray.errors import DeployRefused


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_in(tmp_path) as bench:
        yield bench


class Taken(Place):
    """Somebody deploys something else there at once."""

    def health(self, release: Release) -> Health:
        raise DeployRefused("Another deployment took its place.")


class Interrupted:
    """A forge that something happens to right before or after one of its acts."""

    def __init__(self, forge: Forge, act: str, then: Any) -> None:
        self._forge = forge
        self._act = act
        self._then = then

    def __getattr__(self, name: str) -> Any:
        if name == self._act:
            self._then()
        return getattr(self._forge, name)


def interrupted(bench: Bench, monkeypatch: pytest.MonkeyPatch, act: str, then: Any) -> None:
    """Something happens once, when the pilot asks the forge for an act."""
    left = [then]

    def forge(remote: str) -> Any:
        real = forge_of(remote, TOKEN, bench.github.api_urls, between_writes_s=0.0)
        return Interrupted(real, act, lambda: left.pop()() if left else None)

    monkeypatch.setattr(bench, "forge", forge)


def begun(bench: Bench, **changes: Any) -> Task:
    """A sovereign task that has come to a halt."""
    bench.policy = policy(**changes)
    bench.begin()
    return bench.run()


def resumed(bench: Bench, task: Task) -> Task:
    bench.tasks.resume("acme", task.id)
    return bench.run()


def waits_for(task: Task) -> str:
    assert task.state is State.AWAITING_HUMAN, task.facts
    what: str = task.facts["awaiting"]["what"]
    return what


def test_a_risky_path_is_seen_by_a_person_first(bench: Bench) -> None:
    asks = [{"name": "sums", "globs": ["calc.py"]}]
    task = begun(bench, paths={"ask": asks})
    assert (waits_for(task), task.before) == ("paths", State.TESTED)
    assert bench.happened() == (0, 0, 1)
    assert waits_for(resumed(bench, task)) == "paths"
    bench.approve(bench.tasks.get("acme", task.id), "paths")
    task = bench.run()
    assert waits_for(task) == "merge"  # a risky path costs confidence
    bench.approve(task, "merge")
    assert bench.run().state is State.MERGED


def test_an_approval_holds_for_its_commit_alone(bench: Bench) -> None:
    task = begun(bench, actions={"ask": ("git.push",)})
    assert waits_for(task) == "action:git.push"
    other = {"what": "action:git.push", "commit": "0" * 40, "by": "ann"}
    bench.tasks.resume("acme", task.id, {"approved": [other]})
    assert waits_for(bench.run()) == "action:git.push"
    bench.approve(bench.tasks.get("acme", task.id), "action:git.push")
    assert bench.run().state is State.MERGED


def test_a_push_that_is_forbidden_fails(bench: Bench) -> None:
    task = begun(bench, actions={"forbid": ("git.push",)})
    assert (task.state, task.facts["failed"]["code"]) == (State.FAILED, "permission_denied")
    assert bench.happened() == (0, 0, 1)


def test_a_policy_that_became_stricter_holds_for_what_is_not_pushed_yet(bench: Bench) -> None:
    task = begun(bench, actions={"ask": ("git.push",)})
    bench.policy = policy(changes={"max_lines": 1})
    bench.approve(task, waits_for(task))
    task = bench.run()
    assert (task.state, task.facts["failed"]["code"]) == (State.FAILED, "permission_denied")
    assert "max_lines" in task.facts["failed"]["why"]
    assert bench.happened() == (0, 0, 1)


def test_a_merge_is_left_to_people_where_the_policy_does_not_allow_it(bench: Bench) -> None:
    task = begun(bench, merge={"allowed": False})
    assert waits_for(task) == "merge"
    bench.approve(task, "merge")
    task = bench.run()  # what is denied, nobody's approval lifts
    assert waits_for(task) == "merge"
    bench.forge(bench.remote()).merge(1, bench.part(task).commit, MergeMethod.MERGE)
    task = resumed(bench, task)
    assert task.state is State.MERGED
    assert bench.happened() == (1, 1, 3)


def test_too_little_confidence_is_made_up_for_by_a_person(bench: Bench) -> None:
    task = begun(bench, merge={"min_confidence": 0.999})
    assert "confidence" in task.facts["awaiting"]["why"]
    bench.approve(task, waits_for(task))
    assert bench.run().state is State.MERGED


def test_a_number_of_approvals_is_counted(bench: Bench) -> None:
    task = begun(bench, merge={"approvals": 2})
    ann = bench.github.add_user("ann")
    bench.hosted.review(1, ann)
    bench.approve(task, waits_for(task))
    task = bench.run()  # both may be one person
    assert "1 approvals of 2" in task.facts["awaiting"]["why"]
    bench.hosted.review(1, bench.github.add_user("bob"))
    assert resumed(bench, task).state is State.MERGED


def test_an_objection_keeps_a_change_from_being_merged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann: User = bench.github.add_user("ann")
    interrupted(bench, monkeypatch, "reviews", lambda: bench.hosted.review(1, ann, "CHANGES_REQUESTED"))
    task = begun(bench)
    assert "asked for changes" in task.facts["awaiting"]["why"]
    bench.approve(task, waits_for(task))
    assert waits_for(bench.run()) == "merge"
    bench.hosted.review(1, ann)
    assert resumed(bench, task).state is State.MERGED


def test_required_checks_are_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def passes() -> None:
        bench.hosted.status(bench.hosted.head_commit(bench.hosted.pulls[1]), "ci", "success")

    interrupted(bench, monkeypatch, "reviews", passes)
    assert begun(bench, merge={"required_checks": ("ci",)}).state is State.MERGED


def test_a_check_that_failed_is_for_people(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        bench.hosted.status(bench.hosted.head_commit(bench.hosted.pulls[1]), "ci", "failure")

    interrupted(bench, monkeypatch, "reviews", fails)
    task = begun(bench, merge={"required_checks": ("ci",)})
    assert "'ci' has not succeeded" in task.facts["awaiting"]["why"]


def test_on_a_base_that_moved_the_change_is_tested_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.hosted.git.commit_of("main")
    interrupted(bench, monkeypatch, "get", lambda: bench.hosted.git.put("main", {"b.py": b"y = 1\n"}, "b"))
    task = begun(bench)
    assert task.state is State.MERGED, task.facts
    assert path_of(bench, task)[5:8] == ["pr_open", "edited", "tested"]
    part = bench.part(task)
    assert (part.round, part.base) == (2, bench.hosted.git.parents(part.merged or "")[0])
    assert bench.hosted.git.contains(part.commit, first or "")
    assert bench.hosted.git.file("main", "calc.py") == FIXED
    assert bench.hosted.git.file("main", "b.py") == b"y = 1\n"
    assert bench.happened()[:2] == (1, 1)


def test_a_base_that_moved_under_the_merge_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(bench, monkeypatch, "merge", lambda: bench.hosted.git.put("main", {"b.py": b""}, "b"))
    task = begun(bench)
    assert (waits_for(task), task.before) == ("base", State.GATED)
    assert waits_for(resumed(bench, task)) == "base"
    bench.approve(bench.tasks.get("acme", task.id), "base")
    assert bench.run().state is State.MERGED
    assert bench.happened() == (1, 1, 4)


def test_a_base_that_is_at_odds_with_the_change_is_for_people(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = BUGGY.replace(b"a - b", b"sum((a, b))")
    interrupted(bench, monkeypatch, "get", lambda: bench.hosted.git.put("main", {"calc.py": other}, "b"))
    task = begun(bench)
    assert waits_for(task) == "base"
    assert bench.hosted.git.file("main", "calc.py") == other


def test_a_base_that_somebody_mended_needs_no_change(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(bench, monkeypatch, "get", lambda: bench.hosted.git.put("main", {"calc.py": FIXED}, "b"))
    task = begun(bench)
    assert (task.state, task.facts["failed"]["code"]) == (State.FAILED, "refused")
    assert "nothing changes" in task.facts["failed"]["why"]


def test_a_base_on_which_nothing_is_mended_is_not_merged_into(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {"conftest.py": b"raise SystemExit"}
    interrupted(bench, monkeypatch, "get", lambda: bench.hosted.git.put("main", broken, "b"))
    task = begun(bench)
    assert (task.state, task.before) == (State.FAILED, State.PLANNED)
    assert task.facts["failed"]["code"] == "unprovable"
    assert len(bench.model.prompts) == 2
    assert bench.hosted.git.file("main", "calc.py") == BUGGY


def test_a_base_that_moves_again_and_again_is_left(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def forge(remote: str) -> Any:
        real = forge_of(remote, TOKEN, bench.github.api_urls, between_writes_s=0.0)
        return Interrupted(real, "get", lambda: bench.hosted.git.put("main", {"b.py": b"1"}, "again"))

    monkeypatch.setattr(bench, "forge", forge)
    task = begun(bench)
    assert waits_for(task) == "base"
    assert bench.part(task).round == bench.settings.rounds


def test_a_head_that_somebody_moved_is_theirs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def more() -> None:
        (ours,) = [name for name in bench.hosted.git.branches() if name.startswith("zoran/")]
        bench.hosted.git.put(ours, {"b.py": b""}, "more")

    interrupted(bench, monkeypatch, "get", more)
    task = begun(bench)
    assert waits_for(task) == "merge"
    bench.approve(task, "merge")
    assert waits_for(bench.run()) == "merge"
    head = bench.hosted.head_commit(bench.hosted.pulls[1])
    bench.forge(bench.remote()).merge(1, head, MergeMethod.MERGE)
    task = resumed(bench, task)
    assert (task.state, bench.part(task).by_hand) == (State.MERGED, True)


def test_a_pull_request_that_somebody_closed_is_not_opened_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(bench, monkeypatch, "get", lambda: bench.hosted.close(bench.hosted.pulls[1]))
    task = begun(bench)
    assert (task.state, task.facts["failed"]["code"]) == (State.FAILED, "closed")
    assert len(bench.hosted.pulls) == 1


def test_what_is_merged_is_deployed_and_watched(bench: Bench) -> None:
    bench.begin(deploy="staging")
    task = bench.run()
    assert task.state is State.HEALTHY, task.facts
    assert [commit for commit, _ in bench.place.made] == [bench.part(task).merged]


def test_what_is_not_healthy_is_taken_back(bench: Bench) -> None:
    bench.place = Place(Health.PENDING, Health.UNHEALTHY)
    bench.begin(deploy="staging")
    task = bench.run()
    assert task.state is State.ROLLED_BACK, task.facts
    assert path_of(bench, task)[-3:] == ["deployed", "rolling_back", "rolled_back"]
    assert bench.place.brought_back == ["r0"]
    assert bench.happened() == (2, 2, 3)
    revert = bench.hosted.pulls[2]
    assert revert.body is not None
    assert "/pull/1" in revert.body
    bench.forge(bench.remote()).merge(2, bench.hosted.head_commit(revert), MergeMethod.MERGE)
    assert bench.hosted.git.file("main", "calc.py") == BUGGY
    assert kinds(bench, task)[-5:] == ["health", "rolled_back", "decision", "decision", "revert"]


def test_a_deployment_that_never_ends_is_taken_back(bench: Bench) -> None:
    bench.place = Place(Health.PENDING)
    bench.settings = replace(bench.settings, health_s=0.0)
    bench.begin(deploy="staging")
    assert bench.run().state is State.ROLLED_BACK


def test_what_nobody_can_bring_back_is_for_people(bench: Bench) -> None:
    bench.place = Place(Health.UNHEALTHY)
    bench.place.running = None
    bench.begin(deploy="staging")
    task = bench.run()
    assert (waits_for(task), task.before) == ("deploy", State.ROLLING_BACK)
    assert bench.happened() == (2, 2, 3)
    assert resumed(bench, task).state is State.ROLLED_BACK
    assert (bench.happened(), bench.place.brought_back) == ((2, 2, 3), [])


def test_another_deployment_in_its_place_is_not_rolled_back(bench: Bench) -> None:
    bench.place = Taken()
    bench.begin(deploy="staging")
    task = bench.run()
    assert (waits_for(task), task.before) == ("deploy", State.DEPLOYED)
    assert (bench.happened(), bench.place.brought_back) == ((1, 1, 3), [])


def test_a_deployment_that_a_person_has_to_allow_waits_for_one(bench: Bench) -> None:
    bench.policy = policy(deploy={"approvals": 1})
    bench.begin(deploy="staging")
    task = bench.run()
    assert (waits_for(task), task.before, bench.place.made) == ("deploy", State.MERGED, [])
    bench.approve(task, "deploy")
    assert bench.run().state is State.HEALTHY


def test_what_was_merged_is_rolled_back_where_somebody_wants_its_end(bench: Bench) -> None:
    bench.policy = policy(deploy={"approvals": 1})
    bench.begin(deploy="staging")
    task = bench.run()
    bench.tasks.resume("acme", task.id)
    lease = bench.claim()
    bench.tasks.cancel("acme", task.id)
    bench.tasks.release(lease)
    task = bench.run()
    assert (task.state, bench.place.made) == (State.ROLLED_BACK, [])
    assert bench.happened() == (2, 2, 3)
