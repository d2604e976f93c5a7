"""A worker in a process of its own, from a proven change to a merge; `test_pilot_killed` kills it."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.autopilot.forked import MOST_KILLS
from tests.autopilot.pilot_bench import FAST, TOKEN, policy, say
from tests.reasoning.scripted import Scripted
from zoran_ray.autopilot import Tasks, task_database
from zoran_ray.autopilot.forge import forge_of
from zoran_ray.autopilot.pilot import Pilot, World
from zoran_ray.tools.code_runner import NoRunner, Ran


class EndsUs:
    """Ends this process instead of a run, as a text made for a parser would. Args: by: How."""

    def __init__(self, by: signal.Signals) -> None:
        self._by = by

    async def run(self, files: Mapping[str, bytes], argv: Sequence[str], *, timeout_s: float) -> Ran:
        signal.raise_signal(self._by)
        raise AssertionError


def work(
    folder: Path,
    now: float,
    api_urls: Mapping[str, str],
    most_lapses: int = MOST_KILLS,
    ends_by: signal.Signals | None = None,
) -> None:
    """Does what is not done yet.

    Args:
        now: Unix time in seconds, which stands still.
        most_lapses: As `Tasks`.
        ends_by: What ends this process at its first run of tests; None for nothing.
    """
    tasks = Tasks(task_database(folder / "state"), lambda: now, most_lapses=most_lapses)
    lease = tasks.claim(60.0)
    assert lease is not None
    runner = NoRunner() if ends_by is None else EndsUs(ends_by)
    world = World(
        folder / "copies", lambda task: Scripted(say), policy, lambda policy: runner,
        lambda remote: forge_of(remote, TOKEN, api_urls, between_writes_s=0.0), lambda remote: TOKEN,
    )  # fmt: skip
    asyncio.run(Pilot(tasks, world, FAST).run(lease))
