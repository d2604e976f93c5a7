"""Files of a folder that somebody else may be changing, opened one part at a time and never through a link.

Every part of a path is opened relative to the descriptor of the part before it, with `O_NOFOLLOW`, so a
link put in its place at any moment is refused, not followed. Linux and macOS. Knows no policy but which
names are proper: ask the policy first.

Source: openat(2), "Rationale for openat() and other directory file descriptor APIs".
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from zoran_ray.errors import InvalidRequest, PermissionDenied, StorageFull
from zoran_ray.policy.names import name_fault, shown

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not make us wait
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1024 * 1024


class OpenFolder:
    """A folder held open; paths given to its methods never leave it.

    Use it as a context manager, or `close` it.

    Args:
        root: The folder; our caller's own, so links on the way to it are followed.

    Raises:
        InvalidRequest: It is no folder.
    """

    def __init__(self, root: Path) -> None:
        try:
            self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise InvalidRequest(f"{root} cannot be opened as a folder: {error.strerror}.") from None

    def read(self, path: str, max_bytes: int) -> bytes:
        """What is in a regular file.

        Args:
            path: Relative, parts divided by `/`; untrusted.

        Raises:
            PermissionDenied: The path is not proper, or a part of it is a link or no regular file.
            InvalidRequest: There is no such file, or it has more than `max_bytes`.
        """
        with self._parent(path) as (parent, name), _told(path):
            file = os.open(name, _READ, dir_fd=parent)
            try:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    raise PermissionDenied(f"{shown(path)} is no regular file.", param="path")
                return _all_of(file, path, max_bytes)
            finally:
                os.close(file)

    def write(self, path: str, data: bytes, *, executable: bool | None = None) -> None:
        """Make or replace a regular file, whole or not at all; makes the folders it needs.

        Args:
            path: Relative, parts divided by `/`; untrusted.
            executable: Whether it may be run; None: as the file that it replaces, if there is one.

        Raises:
            PermissionDenied: The path is not proper, or a part of it is a link or no regular file.
            StorageFull: The disk is.
            InvalidRequest: It cannot be written; says why.
        """
        with self._parent(path, make=True) as (parent, name), _told(path):
            before = _regular_mode(parent, name, path)
            runs = bool(before & stat.S_IXUSR) if executable is None else executable
            draft = f".draft-{secrets.token_hex(8)}"
            file = os.open(draft, _WRITE, 0o600, dir_fd=parent)
            try:
                with os.fdopen(file, "wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fchmod(stream.fileno(), 0o755 if runs else 0o644)
                    os.fsync(stream.fileno())
                os.rename(draft, name, src_dir_fd=parent, dst_dir_fd=parent)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(draft, dir_fd=parent)
                raise
            os.fsync(parent)

    def delete(self, path: str) -> None:
        """Remove a regular file. Args and errors are those of `read`."""
        with self._parent(path) as (parent, name), _told(path):
            _regular_mode(parent, name, path)
            os.unlink(name, dir_fd=parent)
            os.fsync(parent)

    def close(self) -> None:
        """Let go of the folder."""
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _parent(self, path: str, make: bool = False) -> Iterator[tuple[int, str]]:
        """The descriptor of the folder in which a path ends, and the name in it."""
        if fault := name_fault(path):
            raise PermissionDenied(f"{shown(path)}: {fault}.", param="path")
        *parts, name = path.split("/")
        folder = os.dup(self._root)
        try:
            with _told(path):
                for part in parts:
                    inner = _open_folder(folder, part, make)
                    os.close(folder)
                    folder = inner
            yield folder, name
        finally:
            os.close(folder)


def _open_folder(parent: int, name: str, make: bool) -> int:
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=parent)
    return os.open(name, _FOLDER, dir_fd=parent)


def _regular_mode(parent: int, name: str, path: str) -> int:
    """The mode of a regular file; 0 where there is none yet."""
    try:
        mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0
    if not stat.S_ISREG(mode):
        raise PermissionDenied(f"{shown(path)} is no regular file.", param="path")
    return mode


def _all_of(file: int, path: str, max_bytes: int) -> bytes:
    parts, size = [], 0
    while chunk := os.read(file, min(_CHUNK, max_bytes + 1 - size)):
        parts.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            raise InvalidRequest(f"{shown(path)} has more than {max_bytes} bytes.", param="path")
    return b"".join(parts)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """The system's errors as ours."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EMLINK):
            # O_DIRECTORY with O_NOFOLLOW says ENOTDIR of a link too.
            raise PermissionDenied(
                f"A part of {shown(path)} is a link or no folder.", param="path"
            ) from None
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"There is no room for {shown(path)}: {error.strerror}.") from None
        raise InvalidRequest(f"{shown(path)}: {error.strerror}.", param="path") from None
