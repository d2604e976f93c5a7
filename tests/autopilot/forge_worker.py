"""A worker that opens, comments and merges, each once; `test_forge_once` kills it wherever it can."""

from collections.abc import Mapping
from pathlib import Path

from tests.autopilot.forked import MOST_KILLS
from zoran_ray.autopilot import Tasks, task_database
from zoran_ray.autopilot.forge import (
    Commits,
    ForgeStep,
    MergeMethod,
    Wanted,
    comment_once,
    forge_of,
    merge_once,
    note,
    open_once,
)  # fmt: skip

TOKEN = "ghp_worker"
LEASE_S = 60.0


def work(
    folder: Path, now: float, remote: str, api_urls: Mapping[str, str], wanted: Wanted, tested: Commits
) -> None:
    """Does everything that is not done yet. Args: now: Unix time in seconds, which stands still."""
    tasks = Tasks(task_database(folder), lambda: now, most_lapses=MOST_KILLS)
    lease = tasks.claim(LEASE_S)
    assert lease is not None
    forge = forge_of(remote, TOKEN, api_urls, between_writes_s=0.0)
    number, _ = open_once(ForgeStep(tasks, lease, forge, "pull request 1"), wanted)
    comment_once(
        ForgeStep(tasks, lease, forge, "comment 1"), number, note(lease.task.id, "gate", "Passed.")
    )
    commit = merge_once(ForgeStep(tasks, lease, forge, "merge 1"), number, tested, MergeMethod.MERGE)
    tasks.note(lease, "ended", {"commit": commit})
