"""Write-ahead log: what was appended is there again after a crash, whole or not at all.

One frame is one write that must not be half visible; many frames can be appended at once and wait for the
disk together (group commit). Knows frames and a disk, not what is written. One thread at a time.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from zoran_ray.errors import BodyTooLarge, Unavailable
from zoran_ray.memory.disk import Disk, OpenFile, OsDisk, write_refused
from zoran_ray.memory.frames import (
    FRAME_BYTES,
    HEADER_BYTES,
    MOST_PAYLOAD_BYTES,
    damaged,
    examine,
    frame,
    new_header,
    payloads,
)


class Fsync(StrEnum):
    """When a write waits for the disk.

    Every policy survives a crash of the process. A crash of the machine costs nothing with `always`, the
    writes of the last interval with `interval`, and any write with `never`.
    """

    ALWAYS = "always"
    INTERVAL = "interval"
    NEVER = "never"


class WriteAheadLog:
    """Frames in one file, appended at its end. Made by `create` or `open`.

    Attributes:
        path: The file.
        cut_bytes: Bytes of an unfinished write that `open` removed.
        broken: Whether a write may or may not be on the disk: then nothing more is appended here, and
            whoever knows the contents writes them to a new file.
    """

    def __init__(
        self,
        path: Path,
        file: OpenFile,
        salt: bytes,
        frames: int,
        size: int,
        fsync: Fsync,
        interval_s: float,
        clock: Callable[[], float],
    ) -> None:
        self.path = path
        self.cut_bytes = 0
        self.broken = False
        self._file = file
        self._salt = salt
        self._frames = frames
        self._size = size
        self._fsync = fsync
        self._interval_s = interval_s
        self._clock = clock
        self._synced_at = clock()
        self._unsynced = False
        self._closed = False

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        disk: Disk | None = None,
        fsync: Fsync = Fsync.ALWAYS,
        interval_s: float = 0.1,
        clock: Callable[[], float] = time.monotonic,
    ) -> "WriteAheadLog":
        """An empty log in a new file; its header is on the disk on return, its name is not.

        Raises:
            StorageFull, Unavailable: It cannot be written.
        """
        header, salt = new_header()
        try:
            file = (disk or OsDisk()).open(path)
            file.truncate(0)
            file.write(header)
            file.sync()
        except OSError as error:
            raise write_refused(error, path) from error
        return cls(path, file, salt, 0, HEADER_BYTES, fsync, interval_s, clock)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        disk: Disk | None = None,
        fsync: Fsync = Fsync.ALWAYS,
        interval_s: float = 0.1,
        clock: Callable[[], float] = time.monotonic,
    ) -> "WriteAheadLog":
        """The log of an earlier process. An unfinished write at its end is cut off.

        Raises:
            StateDamaged: More than its last write is damaged.
            Unavailable: It cannot be read or written.
        """
        try:
            found = examine(path)
        except OSError as error:
            raise Unavailable(f"{path} cannot be read: {error.strerror}.") from error
        if found.salt is None:
            raise damaged(path, "its header cannot be read")
        if found.lost:
            raise damaged(
                path, f"what follows byte {found.end} fails its checksum, and more comes after it"
            )
        try:
            file = (disk or OsDisk()).open(path)
            if found.cut_bytes:
                file.truncate(found.end)
                file.sync()
        except OSError as error:
            raise write_refused(error, path) from error
        log = cls(path, file, found.salt, found.frames, found.end, fsync, interval_s, clock)
        log.cut_bytes = found.cut_bytes
        return log

    @property
    def size_bytes(self) -> int:
        """Bytes of the file."""
        return self._size

    @property
    def frames(self) -> int:
        """How many writes it holds."""
        return self._frames

    def replay(self) -> Iterator[bytes]:
        """Everything appended, in its order."""
        return payloads(self.path)

    def append(self, writes: Sequence[bytes]) -> None:
        """Adds writes; on return all are as durable as the policy says.

        Raises:
            StorageFull: The disk is full. Nothing was added.
            Unavailable: Nothing was added, or, where `broken` is now set, nobody knows.
            BodyTooLarge: A write is longer than a frame can be. Nothing was added.
        """
        if self.broken:
            raise Unavailable(f"{self.path} is in doubt since a write failed. Compact the shard.")
        if any(len(write) > MOST_PAYLOAD_BYTES for write in writes):
            raise BodyTooLarge(f"One write holds at most {MOST_PAYLOAD_BYTES} bytes. Send less at once.")
        salt, first = self._salt, self._frames
        data = b"".join([frame(salt, first + i, write) for i, write in enumerate(writes)])
        try:
            self._file.write(data)
        except OSError as error:
            self._take_back()
            raise write_refused(error, self.path) from error
        self._unsynced = True
        if self._due():
            self.sync(taking_back=True)
        self._frames += len(writes)
        self._size += len(data)

    def sync(self, *, taking_back: bool = False) -> None:
        """Waits until everything appended is on the disk. Raises: Unavailable: It may not be."""
        if not self._unsynced:
            return
        try:
            self._file.sync()
        except OSError as error:
            # The kernel may have dropped the pages and forgotten the error: a second try proves nothing.
            # Source: Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.
            self.broken = True
            if taking_back:
                self._take_back()
            raise write_refused(error, self.path) from error
        self._unsynced = False
        self._synced_at = self._clock()

    def close(self) -> None:
        """Syncs and lets go of the file; nothing can be appended after that. Twice is once."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self.broken and self._fsync is not Fsync.NEVER:
                self.sync()
        finally:
            self._file.close()

    def _due(self) -> bool:
        if self._fsync is Fsync.ALWAYS:
            return True
        return self._fsync is Fsync.INTERVAL and self._clock() - self._synced_at >= self._interval_s

    def _take_back(self) -> None:
        """Removes what a failed write left, so that the next one does not come after a hole."""
        try:
            self._file.truncate(self._size)
            self._file.sync()
        except OSError:
            self.broken = True


def write_bytes(writes: Sequence[bytes]) -> int:
    """Bytes that `append` adds to the file for these."""
    return sum(FRAME_BYTES + len(write) for write in writes)
