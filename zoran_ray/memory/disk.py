"""What the memory asks of a disk: files that are written at their end, and folders whose names last.

The one module of this room that calls the operating system, so that a test can stand in for a disk that
is full or a machine that stops. Knows nothing of what is written.
"""

import errno
import fcntl
import os
from pathlib import Path
from typing import Protocol

from zoran_ray.errors import AlreadyRunning, ConfigError, StorageFull, Unavailable
from zoran_ray.folders import sync_folder

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class OpenFile(Protocol):
    """A file that is written at its end. Every method may raise `OSError`."""

    def write(self, data: bytes) -> None:
        """All of `data`, or an error after any part of it."""

    def sync(self) -> None:
        """On return everything written is on the disk."""

    def truncate(self, size: int) -> None:
        """Cuts the file at `size` bytes."""

    def close(self) -> None: ...


class Disk(Protocol):
    """Files and names. Every method may raise `OSError`."""

    def open(self, path: Path) -> OpenFile:
        """The file, made if there is none, closed to other users."""

    def rename(self, old: Path, new: Path) -> None: ...

    def remove(self, path: Path) -> None: ...

    def sync_names(self, folder: Path) -> None:
        """On return the names in a folder are on the disk."""


class OsFile:
    """An `OpenFile` of the operating system."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._handle, left) :]

    def sync(self) -> None:
        os.fdatasync(self._handle)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._handle, size)

    def close(self) -> None:
        # Once: by now the number may be another file's.
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


class OsDisk:
    """The `Disk` of this machine."""

    def open(self, path: Path) -> OpenFile:
        return OsFile(path)

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def sync_names(self, folder: Path) -> None:
        sync_folder(folder)


class FolderLock:
    """Keeps a folder to one process.

    Raises:
        AlreadyRunning: Another process has it.
        ConfigError: It cannot be made or used.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"{folder} cannot be used: {error.strerror}. Check its owner.") from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._handle)
            raise AlreadyRunning(f"{folder} is in use by another process. Stop that one first.") from error

    def release(self) -> None:
        """Lets another process have the folder; twice is once."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def write_refused(error: OSError, path: Path) -> Unavailable:
    """The typed error of a write that failed."""
    if error.errno in _FULL:
        return StorageFull(
            f"The disk of {path.parent} is full; nothing was written. Free some space and try again.",
            retry_after_s=30.0,
        )
    return Unavailable(
        f"{path} cannot be written: {error.strerror}. Check the disk and try again.", retry_after_s=30.0
    )
