"""Connections to a SQLite file: one for each use, or one that is kept. Knows nothing of what is in it."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

BUSY_S = 5.0
"""How long one process waits for another's write, in seconds."""


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for one use. Raises: sqlite3.Error."""
    with closing(_open(path)) as db:
        yield db


class KeptConnection:
    """One connection for all threads of a process, who take turns.

    It is opened again after any failure, and where the file was replaced, removed or cut short since: what
    is written to a file that is gone is lost. Each use looks, so a file that goes away during a
    transaction loses that one, as it does without a kept connection.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._seen = (0, 0, 0)

    @contextmanager
    def lent(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time. Raises: sqlite3.Error, OSError: no file."""
        with self._lock:
            seen = self._look()
            if self._db is None or seen[:2] != self._seen[:2] or seen[2] < self._seen[2]:
                self._drop()
                self._db = _open(self._path)
            self._seen = seen
            try:
                yield self._db
            except BaseException:
                self._drop()
                raise

    def close(self) -> None:
        """Closes it; the next use opens it again."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):  # whatever is wrong with it, it is given up
                db.close()

    def _look(self) -> tuple[int, int, int]:
        found = self._path.stat()
        return found.st_dev, found.st_ino, found.st_size


def _open(path: Path) -> sqlite3.Connection:
    # Only the lock of its owner lets several threads use it.
    db = sqlite3.connect(
        f"{path.as_uri()}?mode=rw", uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        db.execute("PRAGMA synchronous=FULL")
    except BaseException:
        db.close()
        raise
    return db
