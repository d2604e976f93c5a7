"""Files that owners brought or that batches made: bytes in a folder, the rest in the database.

On disk a file has the name that was made here; what its owner calls it is kept beside it and is never a
path. A file is listed only once all its bytes are on the disk.
"""

import contextlib
import os
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from zoran_ray.access.private_db import PrivateDatabase
from zoran_ray.batch.job import FINISHED, FileInfo
from zoran_ray.errors import BodyTooLarge, InvalidRequest, RecordNotFound, StorageFull
from zoran_ray.folders import sync_folder

MAX_FILE_BYTES = 200 * 1024 * 1024
MAX_OWNER_BYTES = 4 * 1024 * 1024 * 1024
MAX_OWNER_FILES = 10_000
MAX_FILENAME_CHARS = 255
PURPOSES = frozenset({"batch", "assistants", "fine-tune", "vision", "user_data", "evals"})
"""What an owner may say a file is for; only `batch` is used here."""

Order = Literal["asc", "desc"]

_ID = re.compile(r"file-[0-9a-f]{24}\Z")
_COLUMNS = "id, purpose, filename, bytes, created, expires"


class Files:
    """All files of all owners.

    Args:
        folder: Where they are; made when missing, and so is the one that it is in.
        db: Knows of them.
        clock: Unix time in seconds.
    """

    def __init__(self, folder: Path, db: PrivateDatabase, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._db = db
        self._clock = clock

    def write(
        self,
        owner: str,
        purpose: str,
        filename: str,
        content: Iterable[bytes],
        *,
        file_id: str | None = None,
        expires_s: int | None = None,
    ) -> FileInfo:
        """Keeps a file; a file of the same id is replaced.

        Raises:
            StorageFull: The disk is full.
        """
        file_id = file_id or new_file_id()
        with self.draft() as draft:
            size = 0
            for piece in content:
                size += len(piece)
                draft.write(piece)
            return self.keep(draft, owner, purpose, filename, size, file_id, expires_s)

    @contextlib.contextmanager
    def draft(self) -> Iterator[BinaryIO]:
        """A file in the making, gone afterwards unless it was kept."""
        for folder in (self._folder.parent, self._folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f".draft-{secrets.token_hex(12)}"
        try:
            with path.open("xb") as file:
                path.chmod(0o600)
                yield file
        except OSError as error:
            raise _full(error) from None
        finally:
            path.unlink(missing_ok=True)

    def keep(
        self,
        draft: BinaryIO,
        owner: str,
        purpose: str,
        filename: str,
        size: int,
        file_id: str,
        expires_s: int | None = None,
    ) -> FileInfo:
        """Makes a draft a file: on the disk first, then in the list."""
        now = int(self._clock())
        expires = None if expires_s is None else now + expires_s
        info = FileInfo(file_id, purpose, filename[:MAX_FILENAME_CHARS], size, now, expires)
        try:
            draft.flush()
            os.fsync(draft.fileno())
            Path(draft.name).rename(self._path(file_id))
            sync_folder(self._folder)
        except OSError as error:
            raise _full(error) from None
        with self._db.write() as db:
            db.execute(
                f"INSERT OR REPLACE INTO files (owner, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                (owner, info.id, info.purpose, info.filename, info.bytes, info.created, info.expires),
            )
        return info

    def check_room(self, owner: str, more_bytes: int = 0) -> None:
        """Raises: StorageFull: The owner has too many files, or too large ones."""
        if not self._db.exists():
            return
        with self._db.read() as db:
            query = "SELECT count(*), coalesce(sum(bytes), 0) FROM files WHERE owner = ?"
            count, size = db.execute(query, (owner,)).fetchone()
        if count >= MAX_OWNER_FILES or size + more_bytes > MAX_OWNER_BYTES:
            raise StorageFull(
                f"There are {count} files of {size} bytes already. Delete some: DELETE /v1/files/{{id}}."
            )

    def get(self, owner: str, file_id: str) -> FileInfo:
        """Raises: RecordNotFound: This owner has no such file."""
        if _ID.match(file_id) and self._db.exists():
            with self._db.read() as db:
                query = f"SELECT {_COLUMNS} FROM files WHERE id = ? AND owner = ?"  # noqa: S608
                row = db.execute(query, (file_id, owner)).fetchone()
            if row is not None and not self._is_over(row):
                return FileInfo(*row)
        raise RecordNotFound("There is no such file. List yours: GET /v1/files.", param="file_id")

    def list(
        self, owner: str, *, purpose: str | None, after: str | None, limit: int, order: Order
    ) -> tuple[tuple[FileInfo, ...], bool]:
        """An owner's files, and whether there are more of them.

        Raises:
            RecordNotFound: There is no file `after`.
        """
        if not self._db.exists():
            return (), False
        from_row = 0 if after is None else self._place(owner, after)
        compare, direction = (">", "ASC") if order == "asc" else ("<", "DESC")
        query = (
            f"SELECT {_COLUMNS} FROM files WHERE owner = ? AND (? IS NULL OR purpose = ?)"  # noqa: S608
            f" AND (expires IS NULL OR expires > ?) AND (? = 0 OR rowid {compare} ?)"
            f" ORDER BY rowid {direction} LIMIT ?"
        )
        with self._db.read() as db:
            rows = db.execute(
                query, (owner, purpose, purpose, int(self._clock()), from_row, from_row, limit + 1)
            ).fetchall()
        return tuple(FileInfo(*row) for row in rows[:limit]), len(rows) > limit

    def open(self, owner: str, file_id: str) -> BinaryIO:
        """Its content; to be closed. Raises: RecordNotFound."""
        self.get(owner, file_id)
        return self.content(file_id)

    def content(self, file_id: str) -> BinaryIO:
        """The same, for somebody who has asked `get` before. Raises: RecordNotFound."""
        try:
            return self._path(file_id).open("rb")
        except FileNotFoundError:
            raise RecordNotFound("The content of this file is gone. Upload it again.") from None

    def read(self, owner: str, file_id: str, at: int, size: int) -> bytes:
        """A part of its content; empty behind its end. Raises: RecordNotFound."""
        with self.open(owner, file_id) as file:
            file.seek(at)
            return file.read(size)

    def delete(self, owner: str, file_id: str) -> None:
        """Deletes it.

        Raises:
            RecordNotFound: There is no such file.
            InvalidRequest: A batch that is not finished reads it.
        """
        self.get(owner, file_id)
        with self._db.write() as db:
            if _is_read(db, file_id):
                raise InvalidRequest(
                    "A batch that is not finished reads this file. Cancel the batch first.", param="file_id"
                )
            db.execute("DELETE FROM files WHERE id = ? AND owner = ?", (file_id, owner))
        self._path(file_id).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Deletes what has expired, and what nobody knows of: drafts of a process that ended."""
        if not self._folder.is_dir() or not self._db.exists():
            return
        with self._db.write() as db:
            over = db.execute("SELECT id FROM files WHERE expires <= ?", (int(self._clock()),)).fetchall()
            gone = [file_id for (file_id,) in over if not _is_read(db, file_id)]
            db.executemany("DELETE FROM files WHERE id = ?", [(file_id,) for file_id in gone])
        for file_id in gone:
            self._path(file_id).unlink(missing_ok=True)

    def sweep_drafts(self) -> None:
        """Deletes what a process that ended left half made, and files that no list has. At start only."""
        if not self._folder.is_dir() or not self._db.exists():
            return
        with self._db.read() as db:
            known = {file_id for (file_id,) in db.execute("SELECT id FROM files")}
        for path in self._folder.iterdir():
            if path.name.startswith(".draft-") or (_ID.match(path.name) and path.name not in known):
                path.unlink(missing_ok=True)

    def _path(self, file_id: str) -> Path:
        assert _ID.match(file_id), "ids are made here or checked"
        return self._folder / file_id

    def _is_over(self, row: tuple[object, ...]) -> bool:
        expires = row[-1]
        return isinstance(expires, int) and expires <= self._clock()

    def _place(self, owner: str, file_id: str) -> int:
        self.get(owner, file_id)
        with self._db.read() as db:
            (place,) = db.execute("SELECT rowid FROM files WHERE id = ?", (file_id,)).fetchone()
        return int(place)


def new_file_id() -> str:
    """An id that nobody has."""
    return f"file-{secrets.token_hex(12)}"


def too_large() -> BodyTooLarge:
    """What is said of a file that is larger than any may be."""
    return BodyTooLarge(f"A file may have {MAX_FILE_BYTES} bytes at most. Split it.", param="file")


def _is_read(db: sqlite3.Connection, file_id: str) -> bool:
    marks = ", ".join("?" * len(FINISHED))
    query = f"SELECT 1 FROM batches WHERE input_file_id = ? AND status NOT IN ({marks})"  # noqa: S608
    return db.execute(query, (file_id, *FINISHED)).fetchone() is not None


def _full(error: OSError) -> StorageFull:
    return StorageFull(f"The file cannot be written: {error.strerror}. Free some space, then try again.")
