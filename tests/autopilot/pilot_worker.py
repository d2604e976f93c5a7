"""A worker in a process of its own, from a proven change to a merge; `test_pilot_killed` kills it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from tests.autopilot.pilot_bench import FAST, TOKEN, policy, say
from tests.reasoning.scripted import Scripted
from zoran_ray.autopilot import Tasks, task_database
from zoran_ray.autopilot.forge import forge_of
from zoran_ray.autopilot.pilot import Pilot, World
from zoran_ray.tools.code_runner import NoRunner


def work(folder: Path, now: float, api_urls: Mapping[str, str]) -> None:
    """Does what is not done yet. Args: now: Unix time in seconds, which stands still."""
    tasks = Tasks(task_database(folder / "state"), lambda: now)
    lease = tasks.claim(60.0)
    assert lease is not None
    world = World(
        folder / "copies", lambda task: Scripted(say), policy, lambda policy: NoRunner(),
        lambda remote: forge_of(remote, TOKEN, api_urls, between_writes_s=0.0), lambda remote: TOKEN,
    )  # fmt: skip
    asyncio.run(Pilot(tasks, world, FAST).run(lease))
