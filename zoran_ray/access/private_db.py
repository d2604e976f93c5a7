"""A SQLite file that only its owner can read. Knows nothing of what is in it.

The file comes into being whole, tables included, or not at all; so an empty one is a damaged one and
never passes for a store in which nothing was written yet.
"""

import os
import shlex
import sqlite3
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from zoran_ray.access.kept_connection import KeptConnection, connected
from zoran_ray.errors import ConfigError, Unavailable
from zoran_ray.folders import sync_folder


class PrivateDatabase:
    """Transactions on one file, from any number of processes and threads.

    Args:
        path: The file; its folder must be closed to other users like the file itself.
        schema: Statements that make the tables.
        what: What the file is, for messages.
        anew: What to do, or what it means, where a damaged file is given up; the end of a sentence.
        upgrades: Statements that lead from each older version of the schema to the next, oldest first.
            The version is stored in the file (`PRAGMA user_version`), the first one is 1.
        keep_open: Keep one connection for all threads, which then take turns. Otherwise each transaction
            opens its own, which costs several milliseconds: closing the last one empties the log.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        what: str,
        anew: str,
        *,
        upgrades: Sequence[Sequence[str]] = (),
        keep_open: bool = False,
    ) -> None:
        self.path = path.absolute()
        self._schema = schema
        self._upgrades = upgrades
        self._version = len(upgrades) + 1
        self._what = what
        self._anew = anew
        self._kept = KeptConnection(self.path) if keep_open else None

    def exists(self) -> bool:
        """Whether the file is there, in whatever state."""
        with self._translated():
            return os.path.lexists(self.path)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of an existing file.

        Raises:
            ConfigError: Open to other users, damaged, or made by a newer version.
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

    def close(self) -> None:
        """Lets go of the kept connection, if there is one; the next use opens it again."""
        if self._kept is not None:
            self._kept.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._translated():
            self._refuse_open(self.path.parent)
            self._refuse_open(self.path)
            with connected(self.path) if self._kept is None else self._kept.lent() as db:
                self._check_version(db)
                with _committed(db, begin):
                    yield db

    def _make(self) -> None:
        if self._orphaned_log():
            # SQLite would take what is in it for changes to the new file.
            raise ConfigError(
                f"{self._what} {self.path} is gone, but its log {self.path.name}-wal is still there."
                " Put the file back, or move the log away too."
            )
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")  # 0600
        os.close(handle)
        draft = Path(name)
        try:
            with closing(sqlite3.connect(draft, isolation_level=None)) as db:
                db.executescript(f"BEGIN; {self._schema}; PRAGMA user_version={self._version:d}; COMMIT")
                db.execute("PRAGMA journal_mode=WAL")
            os.link(draft, self.path)
            sync_folder(self.path.parent)
        except FileExistsError:
            pass  # another process was first
        finally:
            draft.unlink()

    def _orphaned_log(self) -> bool:
        # In this order: another process that is just making the file makes it before its log.
        return os.path.lexists(f"{self.path}-wal") and not self.exists()

    def _check_version(self, db: sqlite3.Connection) -> None:
        found = _version(db)
        if found > self._version:
            raise ConfigError(
                f"{self._what} {self.path} was written by a newer zoran_ray: upgrade this one."
            )
        if found < 1:
            raise self._damaged("it is empty or another program's")
        if found < self._version:
            self._upgrade(db)

    def _upgrade(self, db: sqlite3.Connection) -> None:
        with _committed(db, "BEGIN IMMEDIATE"):
            for statements in self._upgrades[_version(db) - 1 :]:  # another process may have been first
                for statement in statements:
                    db.execute(statement)
            db.execute(f"PRAGMA user_version={self._version:d}")

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
        # Its log belongs to it and would spoil the new file.
        move = f"mkdir {path}.damaged && mv {path} {path}-* {path}.damaged/"
        return ConfigError(
            f"{self._what} {self.path} is damaged: {reason}. Restore it from a backup, or stop the server,"
            f" run `{move}` and {self._anew}."
        )

    def _unusable(self, error: Exception) -> ConfigError:
        return ConfigError(
            f"{self._what} {self.path} cannot be used: {error}."
            " Check its owner, its permissions and the free space."
        )


@contextmanager
def _committed(db: sqlite3.Connection, begin: str) -> Iterator[None]:
    db.execute(begin)
    try:
        yield
    except BaseException:
        db.rollback()
        raise
    db.commit()


def _version(db: sqlite3.Connection) -> int:
    (found,) = db.execute("PRAGMA user_version").fetchone()
    return int(found)
