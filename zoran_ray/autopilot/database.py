"""The file that knows all tasks. Knows its tables, not what is done with them."""

from pathlib import Path

from zoran_ray.access.private_db import PrivateDatabase

FOLDER = "autopilot"
"""In the folder of everything durable."""
DATABASE = "tasks.sqlite"

CALLS = """
CREATE TABLE calls (
    task TEXT NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL, repository INTEGER NOT NULL,
    kind TEXT NOT NULL, size INTEGER NOT NULL, said TEXT NOT NULL, PRIMARY KEY (task, number)
) STRICT
"""

SCHEMA = f"""
CREATE TABLE tasks (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, thread TEXT NOT NULL, mode TEXT NOT NULL, goal TEXT NOT NULL,
    state TEXT NOT NULL, before TEXT, request TEXT NOT NULL, facts TEXT NOT NULL, created REAL NOT NULL,
    updated REAL NOT NULL, fence INTEGER NOT NULL DEFAULT 0, leased_until REAL NOT NULL DEFAULT 0,
    cancelling INTEGER NOT NULL DEFAULT 0, lapses INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX tasks_of ON tasks (owner, created);
CREATE INDEX tasks_of_thread ON tasks (owner, thread);
CREATE INDEX tasks_by_state ON tasks (state, mode);
CREATE TABLE events (
    place INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT NOT NULL, at REAL NOT NULL, kind TEXT NOT NULL,
    data TEXT NOT NULL, told INTEGER NOT NULL
) STRICT;
CREATE INDEX events_of ON events (task, place);
CREATE INDEX events_untold ON events (place) WHERE told = 0;
CREATE TABLE steps (
    task TEXT NOT NULL, name TEXT NOT NULL, intent TEXT NOT NULL, result TEXT, PRIMARY KEY (task, name)
) STRICT, WITHOUT ROWID;
{CALLS};
"""


UPGRADES = (
    (
        "ALTER TABLE tasks ADD COLUMN lapses INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX tasks_by_state ON tasks (state, mode)",
    ),
    (CALLS,),
)
"""From each older version of the tables to the next; `SCHEMA` makes the newest."""


def task_database(folder: Path) -> PrivateDatabase:
    """The database in `folder`; made when it is first written to."""
    return PrivateDatabase(
        folder / DATABASE, SCHEMA, "The file of tasks", "start it again; tasks and threads are then gone",
        upgrades=UPGRADES, keep_open=True,
    )  # fmt: skip
