"""Workers that ended without a word while they held a task: counted, and after some the task is set aside.

What uses up the memory or crashes a parser would otherwise end the next worker too, for ever. Works within
somebody's transaction.
"""

import sqlite3

from zoran_ray.autopilot.rows import put, tell, the_task, write_event
from zoran_ray.autopilot.task import State, Task

MOST_LAPSES = 3
"""Before the task moves on; then it is the task that ends them."""
LAPSED = "worker_lost"
"""The kind of the event that tells of one."""

_WHY = (
    "{} workers ended without a word while they worked on this, so it is not begun again by itself."
    " See in the server's log and the system's what ended them, as for want of memory, then resume it."
)


def note_lapses(db: sqlite3.Connection, where: str, most: int, now: float) -> list[Task]:
    """Notes whose lease has run out and was not let go. Returns: These tasks, as they are then.

    Args:
        where: Which tasks can be worked on.
        most: Lapses after which one is set aside.
        now: Unix time in seconds.
    """
    over = f"{where} AND leased_until > 0 AND leased_until <= ?"
    left = db.execute(
        f"UPDATE tasks SET lapses = lapses + 1, leased_until = 0 WHERE {over} RETURNING id, lapses",  # noqa: S608
        (now,),
    ).fetchall()
    for task_id, lapses in left:
        write_event(db, task_id, now, LAPSED, {"times": lapses}, told=True)
        if lapses >= most:
            _set_aside(db, the_task(db, task_id), lapses, now)
    return [the_task(db, task_id) for task_id, _ in left]


def forgive(db: sqlite3.Connection, task_id: str) -> None:
    """What ended its workers before is behind it."""
    db.execute("UPDATE tasks SET lapses = 0 WHERE id = ? AND lapses > 0", (task_id,))


def _set_aside(db: sqlite3.Connection, task: Task, lapses: int, now: float) -> None:
    facts = {"failed": {"code": LAPSED, "why": _WHY.format(lapses)}}
    put(db, task.id, State.FAILED, task.state, {**task.facts, **facts}, now)
    tell(db, task.id, now, task.state, State.FAILED, facts)
