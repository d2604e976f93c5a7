"""The Merkle tree of RFC 6962: grows on the right, gives roots and proofs of every size it has had.

Keeps the hashes of complete subtrees from one level up, two of them for every `2**kept_from` leaves; what
is below is computed from leaves that somebody else can give again. Knows hashes, no files and no entries.

Source: RFC 9162, 2.1.1 (tree), 2.1.3.1 (inclusion), 2.1.4.1 (consistency).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from zoran_ray.errors import InvalidRequest

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

Leaves = Callable[[int, int], Sequence[bytes]]
"""Hashes of the leaves `[first, last)`."""


def leaf_hash(data: bytes) -> bytes:
    """Hash of one leaf; another prefix than a node's, so that neither passes for the other."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of the node above two others."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Growth:
    """A tree with more leaves, not taken over yet: until then a failed write costs nothing.

    Attributes:
        before: Leaves of the tree that it grew from.
        size: Leaves with the new ones.
        peaks: Roots of its complete subtrees, from the left.
        added: New hashes of each kept level, lowest first.
    """

    before: int
    size: int
    peaks: list[bytes]
    added: list[bytearray]

    @property
    def root(self) -> bytes:
        return _folded(self.peaks)


class Tree:
    """One tree.

    Args:
        leaves: Gives leaves again; may be left out where `kept_from` is 0.
        kept_from: Lowest level whose hashes are kept; leaves are level 0.
    """

    def __init__(self, leaves: Leaves | None = None, kept_from: int = 0) -> None:
        if leaves is None and kept_from:
            raise ValueError("a tree that does not keep its leaves needs somebody who gives them again")
        self._leaves = leaves
        self._kept_from = kept_from
        self._levels: list[bytearray] = []
        self._peaks: list[bytes] = []
        self.size = 0

    def grown(self, leaves: Iterable[bytes]) -> Growth:
        """What the tree would be with these leaf hashes at its end."""
        peaks, size, kept = list(self._peaks), self.size, self._kept_from
        added: list[bytearray] = []
        for node in leaves:
            level, carry = -kept, size
            if not level:
                _put(added, 0, node)
            while carry & 1:
                node = sha256(b"\x01" + peaks.pop() + node).digest()
                carry >>= 1
                level += 1
                if level >= 0:
                    _put(added, level, node)
            peaks.append(node)
            size += 1
        return Growth(self.size, size, peaks, added)

    def take(self, growth: Growth) -> None:
        """Become what `grown` gave."""
        if growth.before != self.size:
            raise ValueError("the tree has grown since")
        for level, hashes in enumerate(growth.added):
            if level == len(self._levels):
                self._levels.append(bytearray())
            self._levels[level] += hashes
        self._peaks, self.size = growth.peaks, growth.size

    def root(self, size: int | None = None) -> bytes:
        """Root of the first `size` leaves; all by default. Raises: InvalidRequest: There are fewer."""
        if size is None or size == self.size:
            return _folded(self._peaks)
        self._check(0, size)
        return self._root_of(0, size)

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Shows that leaf `index` is in the tree of the first `size` leaves.

        Returns:
            Hashes from the leaf's sibling up, at most one for each level.

        Raises:
            InvalidRequest: No such leaf or size.
        """
        size = self.size if size is None else size
        self._check(index + 1 if index >= 0 else -1, size)
        path, low, high = [], 0, size
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                path.append(self._root_of(middle, high))
                high = middle
            else:
                path.append(self._root_of(low, middle))
                low = middle
        return path[::-1]

    def consistency(self, old: int, size: int | None = None) -> list[bytes]:
        """Shows that the tree of `size` leaves begins with the tree of the first `old`.

        Returns:
            Hashes; none where `old` is 0 or `size`, where nothing is to be shown.

        Raises:
            InvalidRequest: `old` is larger, or there are fewer leaves.
        """
        size = self.size if size is None else size
        self._check(old, size)
        if old in (0, size):
            return []
        path, low, high = [], 0, size
        while old != high:
            middle = low + _split(high - low)
            if old <= middle:
                path.append(self._root_of(middle, high))
                high = middle
            else:
                path.append(self._root_of(low, middle))
                low = middle
        if low:  # else the verifier has this hash already: it is the old root
            path.append(self._root_of(low, high))
        return path[::-1]

    def _check(self, part: int, size: int) -> None:
        if not 0 <= part <= size <= self.size:
            raise InvalidRequest(f"The journal has {self.size} entries. Ask for what is in them.")

    def _root_of(self, low: int, high: int) -> bytes:
        """Root of the leaves `[low, high)`; `low` must be where a split can fall."""
        peaks = []
        while low < high:
            level = (high - low).bit_length() - 1
            peaks.append(self._subtree(level, low >> level))
            low += 1 << level
        return _folded(peaks)

    def _subtree(self, level: int, index: int) -> bytes:
        """Root of the complete subtree number `index` with `2**level` leaves."""
        kept = level - self._kept_from
        if kept >= 0:
            return bytes(self._levels[kept][index * HASH_BYTES : (index + 1) * HASH_BYTES])
        assert self._leaves is not None
        row = self._leaves(index << level, (index + 1) << level)
        while len(row) > 1:
            row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
        return row[0]


def _put(levels: list[bytearray], level: int, node: bytes) -> None:
    # A carry passes every level below, so the next one is always just one more.
    if level == len(levels):
        levels.append(bytearray())
    levels[level] += node


def _split(size: int) -> int:
    """Largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _folded(peaks: Sequence[bytes]) -> bytes:
    """Root above complete subtrees of falling size."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root
