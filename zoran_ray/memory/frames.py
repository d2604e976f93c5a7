"""How bytes lie in the memory's files: a header with a secret salt, then frames with checksums.

    file   = "ZORANMEM" version salt[16] check[8]
    frame  = "zF" length:u32 number:u64 check[8] payload[length]

A check is BLAKE2b keyed with the file's salt, over number and payload: nobody who only chooses what is
stored can make bytes that pass for a frame. Frames are numbered from 0, so that one that is missing, moved
or from another file shows. Knows not what payloads mean, nor who writes them.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from zoran_ray.errors import StateDamaged

MOST_PAYLOAD_BYTES = 256 * 1024 * 1024
SALT_BYTES = 16

_MAGIC = b"ZORANMEM\x01"
_MARK = b"zF"
_FRAME = struct.Struct("<2sIQ8s")
HEADER_BYTES = len(_MAGIC) + SALT_BYTES + 8
FRAME_BYTES = _FRAME.size
"""Bytes of a frame that are not its payload."""

_PIECE_BYTES = 1 << 20
_MOST_SEARCH = 8
"""Bytes checked while searching, for each byte searched: stored text may be full of false beginnings."""


def new_header() -> tuple[bytes, bytes]:
    """A header for a new file, and its salt."""
    salt = os.urandom(SALT_BYTES)
    return _MAGIC + salt + _check(salt, 0, b"header"), salt


def frame(salt: bytes, number: int, payload: bytes) -> bytes:
    """One frame. Raises: ValueError: The payload is longer than `MOST_PAYLOAD_BYTES`."""
    if len(payload) > MOST_PAYLOAD_BYTES:
        raise ValueError(f"a frame of {len(payload)} bytes")
    return _FRAME.pack(_MARK, len(payload), number, _check(salt, number, payload)) + payload


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds.

    Attributes:
        salt: Its salt; None where not even the header is whole.
        frames: How many frames are whole, from the first on.
        end: Where they end, in bytes.
        size: Bytes of the file.
        lost: Whether a whole frame comes after one that is not: more than the last write is damaged.
    """

    salt: bytes | None
    frames: int
    end: int
    size: int
    lost: bool

    @property
    def cut_bytes(self) -> int:
        """Bytes after the last whole frame."""
        return self.size - self.end


def examine(path: Path) -> Contents:
    """Reads a whole file and says what is whole in it. Raises: OSError: It cannot be read."""
    with _Reader(path) as file:
        salt = _salt(file)
        if salt is None:
            return Contents(None, 0, 0, file.size, lost=file.size > HEADER_BYTES)
        number, end = 0, HEADER_BYTES
        while (found := _frame_at(file, end, salt, number)) is not None:
            number, end = number + 1, end + FRAME_BYTES + len(found)
        return Contents(salt, number, end, file.size, _any_after(file, end, salt, number))


def payloads(path: Path) -> Iterator[bytes]:
    """Payloads of the whole frames at the beginning of a file, in their order."""
    with _Reader(path) as file:
        salt = _salt(file)
        number, end = 0, HEADER_BYTES
        while salt is not None and (found := _frame_at(file, end, salt, number)) is not None:
            yield found
            number, end = number + 1, end + FRAME_BYTES + len(found)


def salvage(path: Path) -> Iterator[bytes]:
    """Payloads of every whole frame, wherever it stands: for a file that is damaged in its middle."""
    with _Reader(path) as file:
        salt = _salt(file)
        if salt is None:
            return
        position = HEADER_BYTES
        while (position := file.find(position)) >= 0:
            found = _frame_at(file, position, salt)
            if found is None:
                position += 1
            else:
                yield found
                position += FRAME_BYTES + len(found)


class _Reader:
    """Bytes of a file by their place. Not mapped: a sector that cannot be read would kill the process."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("rb")
        self.size = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def at(self, position: int, length: int) -> bytes:
        """Up to `length` bytes from `position` on."""
        if self._file.tell() != position:
            self._file.seek(position)
        return self._file.read(length)

    def find(self, position: int) -> int:
        """Where the next mark of a frame stands, -1 for nowhere."""
        while position < self.size:
            piece = self.at(position, _PIECE_BYTES)
            if (found := piece.find(_MARK)) >= 0:
                return position + found
            position += max(1, len(piece) - len(_MARK) + 1)
        return -1


def _salt(file: _Reader) -> bytes | None:
    header = file.at(0, HEADER_BYTES)
    salt = header[len(_MAGIC) : len(_MAGIC) + SALT_BYTES]
    if len(header) < HEADER_BYTES or not header.startswith(_MAGIC):
        return None
    return salt if header[-8:] == _check(salt, 0, b"header") else None


def _head_at(file: _Reader, position: int) -> tuple[int, int, bytes] | None:
    """Length, number and check of what looks like a frame there."""
    head = file.at(position, FRAME_BYTES)
    if len(head) < FRAME_BYTES:
        return None
    mark, length, number, check = _FRAME.unpack(head)
    fits = mark == _MARK and length <= min(MOST_PAYLOAD_BYTES, file.size - position - FRAME_BYTES)
    return (length, number, check) if fits else None


def _frame_at(file: _Reader, position: int, salt: bytes, number: int | None = None) -> bytes | None:
    """The payload of the frame there; None where there is none, or one of another number."""
    head = _head_at(file, position)
    if head is None or (number is not None and head[1] != number):
        return None
    payload = file.at(position + FRAME_BYTES, head[0])
    return payload if head[2] == _check(salt, head[1], payload) else None


def _any_after(file: _Reader, position: int, salt: bytes, number: int) -> bool:
    """Whether a whole frame of a later number comes after `position`; True where it is too dear to say."""
    left = _MOST_SEARCH * (file.size - position)
    while (position := file.find(position)) >= 0:
        head = _head_at(file, position)
        # Looking at the number first spares most checksums.
        if head is not None and number <= head[1] < number + file.size // FRAME_BYTES:
            left -= head[0]
            if left < 0 or _frame_at(file, position, salt) is not None:
                return True
        position += 1
    return False


def _check(salt: bytes, number: int, payload: bytes) -> bytes:
    made = blake2b(number.to_bytes(8, "little"), digest_size=8, key=salt)
    made.update(payload)
    return made.digest()


def damaged(path: Path, what: str) -> StateDamaged:
    """The error of a file that cannot be trusted."""
    return StateDamaged(
        f"{path} is damaged: {what}. Nothing in it was changed. Copy the folder from a replica or a backup,"
        " or open the shard with `salvage=True` to keep what can still be read."
    )
