"""Finished tasks are forgotten after a while, with their events, steps, calls and copies of repositories.

Never one that runs, waits for a person or for the journal, or is among the newest that are kept. Whoever is
cut off leaves either all of a task or nothing of it, and the next one goes on.
"""

import asyncio
import logging
import sqlite3
from pathlib import Path

from zoran_ray.autopilot import copies
from zoran_ray.autopilot.task import ENDED
from zoran_ray.autopilot.tasks import Tasks
from zoran_ray.batch.threads import in_thread
from zoran_ray.errors import ZoranError

log = logging.getLogger("zoran.autopilot")

EVERY_S = 3600.0
PIECE = 100
"""Tasks that one transaction forgets: others write in between."""
DAY_S = 86_400.0

_ENDS = ", ".join(f"'{state}'" for state in sorted(ENDED))
_FINISHED = f"(state = goal OR state IN ({_ENDS}))"
_NEWEST = f"SELECT id FROM tasks WHERE {_FINISHED} ORDER BY updated DESC, rowid DESC LIMIT :keep"  # noqa: S608
_OVER = (
    f"SELECT id FROM tasks WHERE {_FINISHED} AND leased_until <= :now"  # noqa: S608
    " AND NOT EXISTS (SELECT 1 FROM events WHERE task = tasks.id AND told = 0)"
    f" AND (updated <= :before OR id NOT IN ({_NEWEST})) LIMIT :piece"
)
_REMOTES = (
    "SELECT DISTINCT json_extract(tasks.request, each.fullkey || '.remote')"
    " FROM tasks, json_each(tasks.request, '$.repositories') AS each"
)


class Forgetting:
    """Forgets, now and then.

    Args:
        tasks: All tasks.
        folder: Of the copies.
        keep_days: How long a finished task is remembered, in days.
        keep_tasks: How many finished ones are remembered at most.
    """

    def __init__(self, tasks: Tasks, folder: Path, keep_days: float, keep_tasks: int) -> None:
        self._tasks = tasks
        self._folder = folder
        self._keep_s = keep_days * DAY_S
        self._keep = keep_tasks

    async def run(self) -> None:
        """Forgets for ever; what cannot be forgotten now waits for the next time."""
        while True:
            try:
                while await in_thread(self.some):
                    pass
                await in_thread(self.unneeded_copies)
            except (ZoranError, OSError) as failure:
                log.error("old tasks cannot be forgotten now: %s", type(failure).__name__)
            await asyncio.sleep(EVERY_S)

    def some(self) -> int:
        """Forgets tasks, up to a bound. Returns: How many. Raises: ZoranError: None of them."""
        if not self._tasks.db.exists():
            return 0
        now = self._tasks.now()
        bounds = {"now": now, "before": now - self._keep_s, "keep": self._keep, "piece": PIECE}
        with self._tasks.db.write() as db:
            over = db.execute(_OVER, bounds).fetchall()
            for table, key in (("events", "task"), ("steps", "task"), ("calls", "task"), ("tasks", "id")):
                db.executemany(f"DELETE FROM {table} WHERE {key} = ?", over)  # noqa: S608
        return len(over)

    def unneeded_copies(self) -> int:
        """Deletes copies that no task names that is remembered. Returns: How many.

        Raises:
            ZoranError: The file of tasks cannot be used.
            OSError: A folder cannot be deleted; the rest waits for the next time.
        """
        if not self._tasks.db.exists():
            return 0
        with self._tasks.db.read() as db:
            found = copies.unneeded(self._folder, _remotes(db))
        if found:
            # While nobody can begin a task: one that comes now makes its copy anew.
            with self._tasks.db.write() as db:
                found = copies.unneeded(self._folder, _remotes(db))
                for copy in found:
                    copies.take_away(copy)
        copies.sweep(self._folder)
        return len(found)


def _remotes(db: sqlite3.Connection) -> set[str]:
    return {str(remote) for (remote,) in db.execute(_REMOTES) if remote is not None}
