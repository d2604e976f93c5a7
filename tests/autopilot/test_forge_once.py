"""Nothing is done twice on a forge, wherever a worker is killed and whatever answer is lost."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.autopilot.github_stand_in import Hosted, Moment, StandIn
from tests.autopilot.forge_worker import LEASE_S, TOKEN, work
from tests.autopilot.forked import MOST_KILLS, processes
from zoran_ray.autopilot import Lease, Mode, Tasks, task_database
from zoran_ray.autopilot.forge import (
    Commits,
    Forge,
    ForgeStep,
    MergeMethod,
    PlainRemote,
    PullState,
    Wanted,
    close_once,
    comment_once,
    forge_of,
    marker,
    merge_once,
    note,
    open_once,
)
from zoran_ray.errors import NoPullRequests, NotMergeable, PullRequestMoved, UpstreamError

NAME = "acme/widgets"
REQUESTS = 10
"""Of a worker that nobody disturbs."""


@dataclass
class World:
    """A repository on the stand-in and a task that waits."""

    github: StandIn
    hosted: Hosted
    folder: Path
    tasks: Tasks
    wanted: Wanted
    tested: Commits
    now: float = 0.0

    def forge(self) -> Forge:
        return forge_of(self.github.remote(NAME), TOKEN, self.github.api_urls, between_writes_s=0.0)

    def step(self, lease: Lease, name: str) -> ForgeStep:
        return ForgeStep(self.tasks, lease, self.forge(), name)

    def claim(self) -> Lease:
        lease = self.tasks.claim(LEASE_S)
        assert lease is not None
        return lease

    def work_until_killed(self, number: int, moment: Moment) -> int:
        """A worker, killed at a request. Returns: How it ended."""
        given = (
            self.folder, self.now, self.github.remote(NAME), self.github.api_urls, self.wanted, self.tested
        )  # fmt: skip
        worker = processes.Process(target=work, args=given)
        self.now += LEASE_S + 1

        def kill() -> None:
            os.kill(worker.pid or 0, signal.SIGKILL)

        self.github.fault(None, "", moment, kill, nth=number)
        worker.start()
        worker.join(60)
        self.github.faults.clear()
        assert worker.exitcode is not None
        return worker.exitcode


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    tmp_path.chmod(0o700)
    with StandIn(tmp_path / "hub") as github:
        github.add_user("zoran-bot", token=TOKEN)
        hosted = github.add_repository(NAME)
        base = hosted.git.put("main", {"a.py": b"x = 1\n"}, "first")
        head = hosted.git.put("fix", {"a.py": b"x = 2\n"}, "fix", onto=base)
        world = World(github, hosted, tmp_path, None, None, Commits(head, base))  # type: ignore[arg-type]
        world.tasks = Tasks(task_database(tmp_path), lambda: world.now, most_lapses=MOST_KILLS)
        task = world.tasks.create("acme", Mode.SOVEREIGN, {})
        world.wanted = Wanted("fix", "main", "Mend it", f"{marker(task.id)}\n\nplan")
        yield world
    assert github.violations == []


def happened(world: World) -> tuple[int, int, int]:
    """Pull requests, comments, commits of the base."""
    comments = sum(len(each) for each in world.hosted.comments.values())
    return len(world.hosted.pulls), comments, world.hosted.git.count("main")


def test_a_worker_that_nobody_disturbs(world: World) -> None:
    assert world.work_until_killed(99, Moment.BEFORE) == 0
    assert happened(world) == (1, 1, 3)
    assert len(world.github.seen) == REQUESTS


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("number", range(1, REQUESTS + 1))
def test_a_worker_that_is_killed_at_any_request_leaves_no_second_effect(
    world: World, number: int, moment: Moment
) -> None:
    assert world.work_until_killed(number, moment) == -signal.SIGKILL
    assert world.work_until_killed(99, Moment.BEFORE) == 0
    assert happened(world) == (1, 1, 3)
    (ended,) = (event for event in world.tasks.events(world.claim().task.id) if event.kind == "ended")
    assert ended.data["commit"] == world.hosted.git.commit_of("main")


def test_workers_that_are_killed_again_and_again_come_to_the_end(world: World) -> None:
    for number in range(1, 4):
        for moment in Moment:
            assert world.work_until_killed(number, moment) == -signal.SIGKILL
    assert world.work_until_killed(99, Moment.BEFORE) == 0
    assert happened(world) == (1, 1, 3)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/pulls$"), ("POST", "/comments$"), ("PUT", "/merge$")]
)
def test_an_answer_that_is_lost_is_looked_up(world: World, method: str, path: str) -> None:
    lease = world.claim()

    def whole() -> None:
        number, _ = open_once(world.step(lease, "open"), world.wanted)
        comment_once(world.step(lease, "say"), number, note(lease.task.id, "gate", "Passed."))
        merge_once(world.step(lease, "merge"), number, world.tested, MergeMethod.SQUASH)

    world.github.fault(method, path, Moment.AFTER, lambda: None)
    with pytest.raises(UpstreamError):
        whole()
    whole()
    assert happened(world) == (1, 1, 2)


def opened(world: World, lease: Lease) -> int:
    return open_once(world.step(lease, "open"), world.wanted)[0]


def test_a_base_that_moved_after_the_tests_is_not_merged_into(world: World) -> None:
    lease = world.claim()
    number = opened(world, lease)
    moved = world.hosted.git.put("main", {"b.py": b""}, "meanwhile")
    with pytest.raises(PullRequestMoved, match="base"):
        merge_once(world.step(lease, "merge"), number, world.tested, MergeMethod.MERGE)
    assert world.hosted.git.commit_of("main") == moved


def test_a_head_that_moved_after_the_tests_is_not_merged(world: World) -> None:
    lease = world.claim()
    number = opened(world, lease)
    world.hosted.git.put("fix", {"b.py": b""}, "more")
    with pytest.raises(PullRequestMoved, match="head"):
        merge_once(world.step(lease, "merge"), number, world.tested, MergeMethod.MERGE)
    assert world.hosted.git.commit_of("main") == world.tested.base


def test_another_head_that_somebody_merged_is_not_taken_for_ours(world: World) -> None:
    lease = world.claim()
    number = opened(world, lease)
    other = world.hosted.git.put("fix", {"b.py": b""}, "more")
    world.forge().merge(number, other, MergeMethod.MERGE)
    with pytest.raises(PullRequestMoved, match="Somebody"):
        merge_once(world.step(lease, "merge"), number, world.tested, MergeMethod.MERGE)


def test_a_pull_request_that_somebody_closed_is_not_opened_again(world: World) -> None:
    lease = world.claim()
    number = opened(world, lease)
    assert close_once(world.step(lease, "close"), number) is PullState.CLOSED
    assert close_once(world.step(lease, "close again"), number) is PullState.CLOSED
    assert open_once(world.step(lease, "open again"), world.wanted)[0] == number
    with pytest.raises(NotMergeable, match="closed"):
        merge_once(world.step(lease, "merge"), number, world.tested, MergeMethod.MERGE)


def test_a_remote_without_pull_requests_says_where_the_road_ends(world: World) -> None:
    lease = world.claim()
    step = ForgeStep(world.tasks, lease, PlainRemote("This remote is no forge."), "open")
    with pytest.raises(NoPullRequests, match="Operator mode"):
        open_once(step, world.wanted)
