"""The journal's one writer: appends batches to the file, signs what it has, gives proofs.

Each batch is one write: its entries, then a signed checkpoint over all entries so far. A crash leaves whole
batches and at most one torn write at the end, which is cut when the file is opened again. Synchronous;
every durable append waits for the disk. Threads may share it; they take turns. No Ray, no HTTP.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zoran_ray.errors import AlreadyRunning, ConfigError, InvalidRequest, Unavailable
from zoran_ray.journal.checkpoint import Checkpoint, sign
from zoran_ray.journal.contents import MOST_BATCH, Contents, read_contents, starts_block
from zoran_ray.journal.entry import Entry
from zoran_ray.journal.frames import COMMIT, ENTRY, MAGIC, ORIGIN, frame
from zoran_ray.journal.keys import SigningKey, VerifierKey
from zoran_ray.journal.private_file import create, open_private
from zoran_ray.journal.tree import EMPTY_ROOT, leaf_hash

JOURNAL_FILE = "journal.log"

_WHAT = "The journal"


@dataclass(frozen=True, slots=True)
class Receipt:
    """Which numbers a batch got.

    Attributes:
        first: Number of its first entry, from 0.
        count: Entries.
        durable: They are on disk, and not only in the system's cache.
    """

    first: int
    count: int
    durable: bool


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was found when the file was opened.

    Attributes:
        entries: Entries that are there.
        end: Bytes of the file that hold them.
        cut_bytes: Bytes after them that were cut; 0 where the file ended well.
        cut_entries: Whole entries among those. None had been acknowledged as durable.
        why: What was wrong with them.
    """

    entries: int
    end: int
    cut_bytes: int
    cut_entries: int
    why: str


class Journal:
    """An open journal, from `open_journal`.

    Attributes:
        recovery: What was found when it was opened.
    """

    def __init__(
        self,
        path: Path,
        handle: int,
        key: SigningKey,
        contents: Contents,
        recovery: Recovery,
        fsync: Callable[[int], None],
    ) -> None:
        self.path = path
        self.recovery = recovery
        self._handle = handle
        self._key = key
        self._contents = contents
        self._fsync = fsync
        self._synced = contents.end
        self._lock = threading.Lock()
        self._broken = ""

    def append(self, entries: Sequence[Entry], *, durable: bool = True) -> Receipt:
        """Add a batch, all of it or nothing.

        Args:
            entries: At most 65,536.
            durable: Wait until they are on disk. Otherwise they survive the end of this process but not a
                loss of power.

        Raises:
            InvalidRequest: Too many.
            Unavailable: The disk is full (nothing was added; try again) or failed (open the journal again).
        """
        if len(entries) > MOST_BATCH:
            raise InvalidRequest(f"A batch has at most {MOST_BATCH} entries; append it in parts.")
        with self._usable():
            first = self._contents.tree.size
            if entries:
                self._write(entries)
            if durable:
                self._sync()
            return Receipt(first, len(entries), durable)

    def head(self) -> Checkpoint:
        """The signed checkpoint over all entries.

        Raises:
            Unavailable: As `append`. A checkpoint that leaves must stay true: its entries go to disk first.
        """
        with self._usable():
            self._sync()
            return self._checkpoint()

    def entry(self, index: int) -> bytes:
        """Data of one entry. Raises: InvalidRequest: There is none of that number."""
        return self.entries(index, index + 1)[0]

    def entries(self, first: int, last: int) -> list[bytes]:
        """Data of the entries `[first, last)`. Raises: InvalidRequest: There are fewer."""
        with self._usable():
            return self._contents.data(first, last)

    def inclusion(self, index: int) -> tuple[bytes, list[bytes], Checkpoint]:
        """Data of an entry, the path that shows it is under the checkpoint, and that. Raises: As `head`."""
        with self._usable():
            self._sync()
            path = self._contents.tree.inclusion(index)
            return self._contents.data(index, index + 1)[0], path, self._checkpoint()

    def consistency(self, old: int) -> tuple[list[bytes], Checkpoint]:
        """The path that shows that the first `old` entries are those still, and the checkpoint over all.

        Raises:
            InvalidRequest, Unavailable: There are fewer entries; as `head`.
        """
        with self._usable():
            self._sync()
            return self._contents.tree.consistency(old), self._checkpoint()

    @property
    def verifier(self) -> VerifierKey:
        """Verifies its checkpoints."""
        return self._key.verifier

    @property
    def usable(self) -> bool:
        """Whether it need not be opened again."""
        return not self._broken

    @property
    def size(self) -> int:
        """Entries."""
        return self._contents.tree.size

    def close(self) -> None:
        """Let go of the file, all of it on disk. More than once is fine."""
        with self._lock:
            if self._handle < 0:
                return
            try:
                if not self._broken:
                    self._sync()
            finally:
                os.close(self._handle)
                self._handle, self._broken = -1, "is closed"

    @contextmanager
    def _usable(self) -> Iterator[None]:
        with self._lock:
            if self._broken:
                raise Unavailable(f"The journal {self._broken}. Open it again.")
            yield

    def _checkpoint(self) -> Checkpoint:
        assert self._contents.checkpoint is not None
        return self._contents.checkpoint

    def _write(self, entries: Sequence[Entry]) -> None:
        contents, start = self._contents, self._contents.end
        growth = contents.tree.grown(leaf_hash(entry.data) for entry in entries)
        commit = self._checkpoint().commit + 1
        checkpoint = sign(growth.size, growth.root, self._key, commit, self._synced)
        marks, batch = [], bytearray()
        for index, entry in enumerate(entries, growth.before):
            if starts_block(index):
                marks.append(start + len(batch))
            batch += frame(ENTRY, entry.data)
        batch += _commit(checkpoint)
        self._put(batch, start)
        contents.take(growth, marks, checkpoint, start + len(batch))

    def _put(self, batch: bytearray, start: int) -> None:
        if os.fstat(self._handle).st_size != start:
            self._broken = "is not as it was left"
            raise ConfigError(f"{self.path} is not as it was left. Verify it, then open it again.")
        rest, at = memoryview(batch), start
        try:
            while rest:
                written = os.pwrite(self._handle, rest, at)
                rest, at = rest[written:], at + written
        except OSError as error:
            self._take_back(start)
            raise Unavailable(
                f"The journal {self.path} cannot be written: {error.strerror}. Nothing was added. Make room"
                " and try again.",
                retry_after_s=1.0,
            ) from error

    def _take_back(self, start: int) -> None:
        try:
            os.ftruncate(self._handle, start)
        except OSError as error:
            self._broken = f"could not take back a torn write ({error.strerror})"

    def _sync(self) -> None:
        if self._synced == self._contents.end:
            return
        try:
            self._fsync(self._handle)
        except OSError as error:
            # What a failed fsync leaves on disk is unknown, and asking again would hide it.
            self._broken = f"may have lost entries: the disk failed ({error.strerror})"
            raise Unavailable(
                f"The disk of {self.path} failed: {error.strerror}. Open the journal again."
            ) from error
        self._synced = self._contents.end


def open_journal(
    path: Path,
    key: SigningKey,
    *,
    known: Checkpoint | None = None,
    fsync: Callable[[int], None] = os.fsync,
) -> Journal:
    """Open a journal to append to it; makes it where there is none.

    Args:
        path: The file (0600); one writer at a time.
        key: Signs its checkpoints; the one that it was made with.
        known: A checkpoint from elsewhere that the file must still contain.
        fsync: Puts a file's content on disk.

    Raises:
        AlreadyRunning: Another process has it open.
        ConfigError: Damaged, another key's, open to other users, or without what `known` says.
    """
    create(
        path,
        MAGIC + frame(ORIGIN, str(key.verifier).encode()) + _commit(sign(0, EMPTY_ROOT, key)),
        _WHAT,
    )
    handle = open_private(path, os.O_RDWR, _WHAT)
    try:
        _lock(handle, path)
        contents = read_contents(lambda at, most: os.pread(handle, most, at), check_signatures=False)
        _refuse(path, contents, key, known)
        recovery = _cut(handle, contents)
        fsync(handle)
    except OSError as error:
        os.close(handle)
        raise Unavailable(
            f"The disk of {path} failed: {error.strerror}. Check it, then try again."
        ) from error
    except BaseException:
        os.close(handle)
        raise
    return Journal(path, handle, key, contents, recovery, fsync)


def _commit(checkpoint: Checkpoint) -> bytes:
    return frame(COMMIT, checkpoint.note.encode())


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AlreadyRunning(f"Another process writes the journal {path}. Stop it first.") from None


def _refuse(path: Path, contents: Contents, key: SigningKey, known: Checkpoint | None) -> None:
    if contents.key != key.verifier:
        raise ConfigError(f"{path} was made with another key. Put that key back, or move the journal away.")
    fault = contents.fault
    if fault is not None and fault.damaged:
        raise ConfigError(
            f"{path} is damaged: from byte {fault.at} on it {fault.why}. Restore it from a backup, or"
            " move it away; `zoran journal verify` tells more. Nothing was cut."
        )
    if known is not None and contents.root_at(known.size) != known.root:
        raise ConfigError(
            f"{path} does not contain what the given checkpoint of {known.size} entries says. Restore it"
            " from a backup, or move it away. Nothing was cut."
        )


def _cut(handle: int, contents: Contents) -> Recovery:
    """Cut a torn write at the end, if there is one."""
    end, fault, contents.fault = contents.end, contents.fault, None
    cut_bytes = os.fstat(handle).st_size - end
    if cut_bytes:
        os.ftruncate(handle, end)
    cut_entries, why = (fault.entries, fault.why) if fault else (0, "")
    return Recovery(contents.tree.size, end, cut_bytes, cut_entries, why)
