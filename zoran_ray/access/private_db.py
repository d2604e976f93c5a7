"""A SQLite file that only its owner can read. Knows nothing of what is in it.

The file comes into being whole, tables included, or not at all; so an empty one is a damaged one and
never passes for a store in which nothing was written yet.
"""

import os
import shlex
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from zoran_ray.errors import ConfigError, Unavailable

BUSY_S = 5.0
"""How long one process waits for another's write, in seconds."""


class PrivateDatabase:
    """Transactions on one file, from any number of processes. Opened anew each time: use is rare.

    Args:
        path: The file; its folder must be closed to other users like the file itself.
        schema: Statements that make the tables.
        schema_version: Stored in the file (`PRAGMA user_version`), above 0.
        what: What the file is, for messages.
    """

    def __init__(self, path: Path, schema: str, schema_version: int, what: str) -> None:
        self.path = path.absolute()
        self._schema = schema
        self._schema_version = schema_version
        self._what = what

    def exists(self) -> bool:
        """Whether the file is there, in whatever state."""
        with self._translated():
            try:
                self.path.lstat()
            except FileNotFoundError:
                return False
            return True

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of an existing file.

        Raises:
            ConfigError: Open to other users, damaged, or made by another version.
            Unavailable: Another process has been writing for too long.
        """
        with self._transaction("BEGIN") as db:
            yield db

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction that alone may write; makes folder and file (0700, 0600) when missing.

        Raises:
            ConfigError, Unavailable: As `read`.
        """
        with self._translated():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_open(self.path.parent)
            if not self.exists():
                self._make()
        with self._transaction("BEGIN IMMEDIATE") as db:
            yield db

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._translated():
            self._refuse_open(self.path.parent)
            self._refuse_open(self.path)
            uri = f"{self.path.as_uri()}?mode=rw"
            with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous=FULL")
                self._check_version(db)
                db.execute(begin)
                try:
                    yield db
                except BaseException:
                    db.rollback()
                    raise
                db.commit()

    def _make(self) -> None:
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")  # 0600
        os.close(handle)
        draft = Path(name)
        try:
            with closing(sqlite3.connect(draft, isolation_level=None)) as db:
                db.executescript(
                    f"BEGIN; {self._schema}; PRAGMA user_version={self._schema_version:d}; COMMIT"
                )
                db.execute("PRAGMA journal_mode=WAL")
            os.link(draft, self.path)
            _sync_folder(self.path.parent)
        except FileExistsError:
            pass  # another process was first
        finally:
            draft.unlink()

    def _check_version(self, db: sqlite3.Connection) -> None:
        (found,) = db.execute("PRAGMA user_version").fetchone()
        if found > self._schema_version:
            raise ConfigError(
                f"{self._what} {self.path} was written by a newer zoran_ray: upgrade this one."
            )
        if found < self._schema_version:
            raise self._damaged("it is empty or another program's")

    def _refuse_open(self, path: Path) -> None:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            closed = "700" if path.is_dir() else "600"
            raise ConfigError(
                f"{path} is open to other users (mode {mode:03o})."
                f" Run: chmod {closed} {shlex.quote(str(path))}"
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise Unavailable(
                    f"{self._what} {self.path} is busy. Try again.", retry_after_s=1.0
                ) from error
            raise self._unusable(error) from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(str(error)) from error
        except OSError as error:
            raise self._unusable(error) from error

    def _damaged(self, reason: str) -> ConfigError:
        path = shlex.quote(str(self.path))
        return ConfigError(
            f"{self._what} {self.path} is damaged: {reason}. Restore it from a backup, or start anew with"
            f" `mv {path} {path}.damaged` and create the keys again."
        )

    def _unusable(self, error: Exception) -> ConfigError:
        return ConfigError(
            f"{self._what} {self.path} cannot be used: {error}."
            " Check its owner, its permissions and the free space."
        )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
