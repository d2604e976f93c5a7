"""Files that come piece by piece: where the pieces are until the last one is there."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

from zoran_ray.batch.files import MAX_FILE_BYTES, Files, new_file_id, too_large
from zoran_ray.batch.job import FileInfo
from zoran_ray.errors import Overloaded, RecordNotFound

MOST = 64
"""Uploads at a time."""
IDLE_S = 300.0
"""After this long without a piece an upload is given up."""


@dataclass(slots=True)
class _Upload:
    owner: str
    file: BinaryIO
    undo: ExitStack
    size: int
    touched: float


class Uploads:
    """All uploads that are under way. Used by one thread at a time.

    Args:
        files: Where they end up.
        clock: Monotonic seconds.
    """

    def __init__(self, files: Files, clock: Callable[[], float] = time.monotonic) -> None:
        self._files = files
        self._clock = clock
        self._open: dict[str, _Upload] = {}

    def begin(self, owner: str) -> str:
        """Begins one. Returns: Its name, which will be the file's id.

        Raises:
            Overloaded: There are too many.
            StorageFull: There is no room for another file of this owner.
        """
        self._give_up_idle()
        if len(self._open) >= MOST:
            raise Overloaded("Too many files are being uploaded. Try again.", retry_after_s=5.0)
        self._files.check_room(owner)
        undo = ExitStack()
        file = undo.enter_context(self._files.draft())
        name = new_file_id()
        self._open[name] = _Upload(owner, file, undo, 0, self._clock())
        return name

    def add(self, name: str, piece: bytes) -> None:
        """Takes the next piece.

        Raises:
            BodyTooLarge: The file has become larger than any may be; it is given up.
            StorageFull: The disk is full.
            RecordNotFound: It was given up.
        """
        upload = self._found(name)
        upload.size += len(piece)
        upload.touched = self._clock()
        if upload.size > MAX_FILE_BYTES:
            self.drop(name)
            raise too_large()
        try:
            upload.file.write(piece)
        except OSError:
            self.drop(name)
            raise

    def finish(self, name: str, purpose: str, filename: str, expires_s: int | None) -> FileInfo:
        """All pieces are there. Raises: StorageFull, RecordNotFound."""
        upload = self._found(name)
        try:
            self._files.check_room(upload.owner, upload.size)
            return self._files.keep(
                upload.file, upload.owner, purpose, filename, upload.size, name, expires_s
            )
        finally:
            self.drop(name)

    def drop(self, name: str) -> None:
        """Gives it up."""
        if upload := self._open.pop(name, None):
            upload.undo.close()

    def close(self) -> None:
        """Gives all up."""
        for name in list(self._open):
            self.drop(name)

    def _found(self, name: str) -> _Upload:
        if (upload := self._open.get(name)) is None:
            raise RecordNotFound("This upload was given up: it took too long. Begin again.")
        return upload

    def _give_up_idle(self) -> None:
        horizon = self._clock() - IDLE_S
        for name in [name for name, upload in self._open.items() if upload.touched < horizon]:
            self.drop(name)
