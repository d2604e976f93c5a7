"""Whether a proof holds. Needs nothing but hashes: no journal, no file, no trust in who made it.

Source: RFC 9162, 2.1.3.2 (inclusion) and 2.1.4.2 (consistency).
"""

from collections.abc import Sequence

from zoran_ray.journal.tree import EMPTY_ROOT, HASH_BYTES, node_hash


def inclusion_holds(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf with hash `leaf` is number `index` of the `size` leaves under `root`."""
    if not 0 <= index < size or not _are_hashes(path):
        return False
    here, last, node = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if here & 1 or here == last:
            node = node_hash(sibling, node)
            here, last = _up_to_right(here, last)
        else:
            node = node_hash(node, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and node == root


def consistency_holds(old: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the `size` leaves under `root` begin with the `old` leaves under `old_root`."""
    if not 0 <= old <= size or not _are_hashes(path):
        return False
    if old in (0, size):
        return not path and old_root == (root if old else EMPTY_ROOT)
    hashes = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not hashes:
        return False
    here, last = old - 1, size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    old_node = node = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            old_node, node = node_hash(sibling, old_node), node_hash(sibling, node)
            here, last = _up_to_right(here, last)
        else:
            node = node_hash(node, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and old_node == old_root and node == root


def _up_to_right(here: int, last: int) -> tuple[int, int]:
    """Up past levels where the last node has no sibling, to one where it is a right child."""
    while not here & 1 and here:
        here, last = here >> 1, last >> 1
    return here, last


def _are_hashes(path: Sequence[bytes]) -> bool:
    return all(len(node) == HASH_BYTES for node in path)
