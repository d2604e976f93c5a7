"""Whom all nodes are to forget: a short list on disk, which each follows from where it stands.

Knows no trace; names come hashed. An entry stays for twice as long as what it is about could be kept
anywhere, so who was away for longer has nothing left that it is about. Synchronous; one thread at a time.
"""

import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zoran_ray.access.private_db import PrivateDatabase

FORGOTTEN_FILE = "forgotten.sqlite"
SCHEMA = """
CREATE TABLE epoch (id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL) STRICT;
CREATE TABLE forgotten (
    version INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL, subject TEXT NOT NULL, at REAL NOT NULL,
    UNIQUE (tenant, subject)
) STRICT
"""
KEEP_S = 2 * 24 * 3600.0
MOST_OF_TENANT = 10_000
"""Subjects of one tenant; with one more everything of the tenant is forgotten."""
MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Forgotten:
    """One to forget.

    Attributes:
        tenant: Whose; a hash.
        subject: Whom it was about; a hash, empty for all of the tenant.
    """

    tenant: str
    subject: str


@dataclass(frozen=True, slots=True)
class Forgettings:
    """What is new on the list.

    Attributes:
        epoch: Which list it is; another one begins at version 0.
        version: How far these lead.
        entries: In their order.
    """

    epoch: str
    version: int
    entries: tuple[Forgotten, ...] = ()


class ForgottenList:
    """Every method raises `ConfigError` where the file is damaged and `Unavailable` where it is busy.

    Args:
        database: The file, with the tables of `SCHEMA`.
        now: Unix time in seconds.
    """

    def __init__(self, database: PrivateDatabase, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    def add(self, tenant: str, subject: str) -> None:
        """Puts one on the list; on disk on return. Arguments are those of `Forgotten`."""
        with self._database.write() as db:
            _epoch(db)
            db.execute("DELETE FROM forgotten WHERE at < ?", (self._now() - KEEP_S,))
            (count,) = db.execute("SELECT count(*) FROM forgotten WHERE tenant = ?", (tenant,)).fetchone()
            if not subject or count >= MOST_OF_TENANT:
                subject = ""
                db.execute("DELETE FROM forgotten WHERE tenant = ?", (tenant,))
            row = tenant, subject, self._now()
            db.execute("INSERT OR REPLACE INTO forgotten (tenant, subject, at) VALUES (?, ?, ?)", row)

    def since(self, epoch: str, version: int) -> Forgettings:
        """What came after a version, a part of it where it is much; without entries: that was all."""
        with self._database.write() as db:
            name = _epoch(db)
            start = version if epoch == name else 0
            found = db.execute(
                "SELECT version, tenant, subject FROM forgotten WHERE version > ? ORDER BY version LIMIT ?",
                (start, MOST_AT_ONCE),
            ).fetchall()
        last = found[-1][0] if found else start
        return Forgettings(name, last, tuple(Forgotten(tenant, subject) for _, tenant, subject in found))

    def close(self) -> None:
        """Lets go of the file; the next use opens it again."""
        self._database.close()


def forgotten_list(folder: Path, now: Callable[[], float] = time.time) -> ForgottenList:
    """The list in a state directory."""
    what = "The list of who was forgotten"
    anew = "start it again: nodes that are away now keep their traces of who was forgotten for a day"
    database = PrivateDatabase(folder / FORGOTTEN_FILE, SCHEMA, what, anew, keep_open=True)
    return ForgottenList(database, now)


def _epoch(db: sqlite3.Connection) -> str:
    db.execute("INSERT OR IGNORE INTO epoch VALUES (1, ?)", (secrets.token_hex(8),))
    (name,) = db.execute("SELECT name FROM epoch").fetchone()
    return str(name)
