"""What is in a journal's file: the tree over its entries, and where it stops being sound.

Reads only. An entry counts once a commit vouches for it, a checkpoint with the right size and root. What
comes after the last such commit is a torn write, as a crash leaves it, unless it cannot be: a whole record
that contradicts the tree, or a commit further on that was written when these bytes were already on disk.
That is damage, and nothing may be cut there.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.journal.checkpoint import Checkpoint, parse
from zoran_ray.journal.frames import COMMIT, ENTRY, MAGIC, ORIGIN, Read, Scanner, frame_start
from zoran_ray.journal.keys import VerifierKey
from zoran_ray.journal.tree import Growth, Tree, leaf_hash

KEPT_FROM = 4
"""Level of the tree from which hashes are kept: 4.5 bytes of memory an entry instead of 72, for up to 16
entries read again in a proof."""
MOST_BATCH = 65_536
"""Entries between two commits."""

_BLOCK = 1 << KEPT_FROM
_LOOKUP_BYTES = 1 << 14
_SEARCH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Fault:
    """Where and why a file stops being sound.

    Attributes:
        at: Offset in bytes.
        why: The end of a sentence that begins with the file.
        damaged: It is no torn write.
        entries: Whole entries before it that no commit vouches for.
    """

    at: int
    why: str
    damaged: bool
    entries: int


class Contents:
    """A journal's entries, by number.

    Args:
        read: The file.
        key: Whose checkpoints are in it.

    Attributes:
        tree: Over all entries that count.
        checkpoint: The last one; None where there is none.
        end: Bytes of the file up to and with its commit.
        fault: What comes after that.
    """

    def __init__(self, read: Read, key: VerifierKey) -> None:
        self._read = read
        self._marks = array("Q")  # offset of the first entry of each block
        self.key = key
        self.tree = Tree(self._leaves, KEPT_FROM)
        self.checkpoint: Checkpoint | None = None
        self.end = 0
        self.fault: Fault | None = None

    def take(self, growth: Growth, marks: Sequence[int], checkpoint: Checkpoint, end: int) -> None:
        """Go on to a state that a commit vouches for."""
        self.tree.take(growth)
        self._marks.extend(marks)
        self.checkpoint = checkpoint
        self.end = end

    def data(self, first: int, last: int) -> list[bytes]:
        """Data of the entries `[first, last)`.

        Raises:
            InvalidRequest: There are fewer.
            ConfigError: The file has been changed since it was read.
        """
        if not 0 <= first <= last <= self.tree.size:
            raise InvalidRequest(
                f"The journal has {self.tree.size} entries, numbered from 0. Ask for those."
            )
        if first == last:
            return []
        found: list[bytes] = []
        scanner = Scanner(self._read, self._marks[first // _BLOCK], _LOOKUP_BYTES)
        skip = first % _BLOCK
        for _, tag, payload in scanner:
            if tag == ENTRY:
                found.append(payload)
                if len(found) == skip + last - first:
                    return found[skip:]
        raise ConfigError("The journal's file has been changed since it was read. Verify it.")

    def root_at(self, size: int) -> bytes | None:
        """Root of the first `size` entries; None where there are fewer."""
        return self.tree.root(size) if size <= self.tree.size else None

    def _leaves(self, first: int, last: int) -> list[bytes]:
        return [leaf_hash(data) for data in self.data(first, last)]


def starts_block(index: int) -> bool:
    """Whether the offset of this entry is one of those that `Contents` keeps."""
    return index % _BLOCK == 0


def read_contents(read: Read, *, check_signatures: bool = True) -> Contents:
    """Go through a whole file.

    Args:
        read: The file.
        check_signatures: Of every checkpoint; otherwise of the last one only, which covers all entries.

    Raises:
        ConfigError: It does not begin as a journal.
    """
    scanner, contents = _begin(read)
    leaves: list[bytes] = []
    marks: list[int] = []
    for offset, tag, payload in scanner:
        if tag == ENTRY and len(leaves) < MOST_BATCH:
            if starts_block(contents.tree.size + len(leaves)):
                marks.append(offset)
            leaves.append(leaf_hash(payload))
            continue
        growth = contents.tree.grown(leaves)
        checkpoint = _checkpoint(payload) if tag == COMMIT else None
        why = _contradiction(checkpoint, growth, contents, check_signatures)
        if checkpoint is None or why:
            contents.fault = Fault(offset, why, True, len(leaves))
            return contents
        contents.take(growth, marks, checkpoint, scanner.end)
        leaves, marks = [], []
    contents.fault = _rest(read, scanner, contents, len(leaves))
    return contents


def _begin(read: Read) -> tuple[Scanner, Contents]:
    """Past the first record."""
    if read(0, len(MAGIC)) == MAGIC:
        scanner = Scanner(read, len(MAGIC))
        for _, tag, payload in scanner:
            if tag == ORIGIN:
                contents = Contents(read, VerifierKey.parse(payload.decode("ascii", "replace")))
                contents.end = scanner.end
                return Scanner(read, scanner.end), contents
            break
    raise ConfigError("This is no journal, or its first bytes are damaged. Restore it from a backup.")


def _checkpoint(payload: bytes) -> Checkpoint | None:
    try:
        return parse(payload.decode())
    except (ConfigError, UnicodeDecodeError):
        return None


def _contradiction(
    checkpoint: Checkpoint | None, growth: Growth, contents: Contents, check_signature: bool
) -> str:
    """What is wrong with a commit; empty where nothing is."""
    if checkpoint is None:
        return "holds a record where a commit with its checkpoint should be"
    if checkpoint.origin != contents.key.name:
        return "holds a checkpoint of another journal"
    before = -1 if contents.checkpoint is None else contents.checkpoint.commit
    if checkpoint.commit != before + 1:
        return f"holds commit {checkpoint.commit} where commit {before + 1} should be"
    if checkpoint.size != growth.size:
        return f"holds a checkpoint of {checkpoint.size} entries after {growth.size} entries"
    if checkpoint.root != growth.root:
        return "holds entries that its checkpoint does not cover"
    if check_signature and not checkpoint.is_signed_by(contents.key):
        return "holds a checkpoint that its key did not sign"
    return ""


def _rest(read: Read, scanner: Scanner, contents: Contents, entries: int) -> Fault | None:
    """What follows the last commit: nothing, a torn write, or damage."""
    if contents.checkpoint is None:
        return Fault(contents.end, "has no checkpoint", True, entries)
    if not contents.checkpoint.is_signed_by(contents.key):
        return Fault(contents.end, "follows a checkpoint that its key did not sign", True, entries)
    if scanner.fault is not None:
        damaged = _was_on_disk(read, scanner.end, contents.key)
        return Fault(scanner.end, scanner.fault, damaged, entries)
    return Fault(scanner.end, "ends with entries without a commit", False, entries) if entries else None


def _was_on_disk(read: Read, at: int, key: VerifierKey) -> bool:
    """Whether a later commit says that the bytes at this offset had been on disk before it was written."""
    wanted = f"{key.name}\n".encode()
    start = at
    while chunk := read(start, _SEARCH_BYTES):
        found = chunk.find(wanted)
        while found >= 0:
            if _synced(read, frame_start(start + found), key) > at:
                return True
            found = chunk.find(wanted, found + 1)
        if len(chunk) < len(wanted):
            return False
        start += len(chunk) - len(wanted) + 1
    return False


def _synced(read: Read, offset: int, key: VerifierKey) -> int:
    """What the commit at this offset says of the bytes before it; 0 where there is no commit."""
    for _, tag, payload in Scanner(read, max(0, offset), _LOOKUP_BYTES):
        checkpoint = _checkpoint(payload) if tag == COMMIT else None
        if checkpoint is not None and checkpoint.is_signed_by(key):
            return checkpoint.synced
        break
    return 0
