"""Rows of the file of tasks, read and written within somebody's transaction. Decides nothing."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from zoran_ray.autopilot.task import Mode, State, Task

FIELDS = (
    "id", "owner", "thread", "mode", "goal", "state", "before", "request", "facts", "created", "updated",
    "fence", "cancelling",
)  # fmt: skip
TRANSITION = "transition"
"""The kind of the event that is a move."""
SELECT = f"SELECT {', '.join(FIELDS)} FROM tasks"  # noqa: S608


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """Something that happened to a task.

    Attributes:
        place: Grows with every event of every task.
        at: Unix time in seconds.
        kind: `transition`, `decision`, `worker_lost`, or what a worker noted.
        data: Details, as JSON.
    """

    place: int
    task: str
    at: float
    kind: str
    data: Mapping[str, Any]


def any_task(db: sqlite3.Connection, where: str, *values: str) -> bool:
    """Whether a task is so."""
    return db.execute(f"SELECT 1 FROM tasks WHERE {where} LIMIT 1", values).fetchone() is not None  # noqa: S608


def named_once(db: sqlite3.Connection, owner: str, once: str) -> Task | None:
    """The task that an owner's request of this name has begun."""
    where = "owner = ? AND json_extract(request, '$.once') = ?"
    row = db.execute(f"{SELECT} WHERE {where} LIMIT 1", (owner, once)).fetchone()
    return None if row is None else read_task(row)


def the_task(db: sqlite3.Connection, task_id: str) -> Task:
    """A task that is there, as it is now."""
    return read_task(db.execute(f"{SELECT} WHERE id = ?", (task_id,)).fetchone())


def put(
    db: sqlite3.Connection,
    task_id: str,
    state: State,
    before: State | None,
    facts: Mapping[str, Any],
    now: float,
) -> None:
    """Where a task stands from now on."""
    db.execute(
        "UPDATE tasks SET state = ?, before = ?, facts = ?, updated = ? WHERE id = ?",
        (state.value, before and before.value, stored(facts), now, task_id),
    )


def take_oldest(db: sqlite3.Connection, where: str, now: float, until: float) -> Task | None:
    """Gives the oldest task that nobody holds to a new holder, until then; None where there is none."""
    query = f"SELECT id FROM tasks WHERE {where} AND leased_until <= ? ORDER BY rowid LIMIT 1"  # noqa: S608
    row = db.execute(query, (now,)).fetchone()
    if row is None:
        return None
    db.execute("UPDATE tasks SET fence = fence + 1, leased_until = ? WHERE id = ?", (until, *row))
    return the_task(db, *row)


def tell(
    db: sqlite3.Connection, task_id: str, at: float, here: State | None, to: State, facts: Mapping[str, Any]
) -> None:
    """Writes a move, which the journal is to have."""
    write_event(db, task_id, at, TRANSITION, {"from": here, "to": to, "facts": facts}, told=False)


def write_event(
    db: sqlite3.Connection, task_id: str, at: float, kind: str, data: Mapping[str, Any], *, told: bool
) -> None:
    """Writes something that happened."""
    db.execute(
        "INSERT INTO events (task, at, kind, data, told) VALUES (?, ?, ?, ?, ?)",
        (task_id, at, kind, stored(data), int(told)),
    )


def stored(value: Any) -> Any:
    """A value as its column holds it."""
    if isinstance(value, Mapping):
        return orjson.dumps(value).decode()
    return value.value if isinstance(value, (Mode, State)) else value


def read_event(row: Any) -> TaskEvent:
    """The event of a row: place, task, at, kind, data."""
    place, task, at, kind, data = row
    return TaskEvent(place, task, at, kind, orjson.loads(data))


def read_task(row: Any) -> Task:
    """The task of a row with `FIELDS`."""
    fields = dict(zip(FIELDS, row, strict=True))
    return Task(
        **fields
        | {
            "mode": Mode(fields["mode"]),
            "goal": State(fields["goal"]),
            "state": State(fields["state"]),
            "before": fields["before"] and State(fields["before"]),
            "request": orjson.loads(fields["request"]),
            "facts": orjson.loads(fields["facts"]),
            "cancelling": bool(fields["cancelling"]),
        }
    )
