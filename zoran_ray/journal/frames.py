"""How the file is cut into records, each with its length and checksum. Knows bytes, no tree and no keys.

    file    = MAGIC frame(ORIGIN, verifier key) { { frame(ENTRY, data) } frame(COMMIT, checkpoint) }
    frame   = crc32 of what follows: u32 · length of payload: u32 · tag: u8 · payload        little-endian

Entries count from the commit that follows them.
"""

import struct
from collections.abc import Callable, Iterator
from zlib import crc32

MAGIC = b"ZORANJ1\n"
ORIGIN, ENTRY, COMMIT = b"O"[0], b"E"[0], b"C"[0]
MOST_PAYLOAD_BYTES = 8192

_HEAD = struct.Struct("<IIB")
_REST = struct.Struct("<IB")

Read = Callable[[int, int], bytes]
"""At most so many bytes from an offset; fewer at the end only."""


def frame(tag: int, payload: bytes) -> bytes:
    """One record as it is written."""
    rest = _REST.pack(len(payload), tag)
    return crc32(payload, crc32(rest)).to_bytes(4, "little") + rest + payload


def frame_start(payload_at: int) -> int:
    """Where the frame begins whose payload is at this offset."""
    return payload_at - _HEAD.size


class Scanner:
    """Goes through frames until the end or the first one that is not whole.

    Args:
        read: The file.
        start: Offset of a frame.
        chunk: Bytes to read at a time.

    Attributes:
        end: Offset after the last whole frame.
        fault: Why it stopped there; None at the end of the file.
    """

    def __init__(self, read: Read, start: int, chunk: int = 1 << 20) -> None:
        self._read = read
        self._chunk = chunk
        self.end = start
        self.fault: str | None = None

    def __iter__(self) -> Iterator[tuple[int, int, bytes]]:
        """Offset, tag and payload of each."""
        buffer, at, unpack, head = b"", 0, _HEAD.unpack_from, _HEAD.size
        while True:
            if len(buffer) - at < head + MOST_PAYLOAD_BYTES:
                buffer = buffer[at:] + self._read(self.end + len(buffer) - at, self._chunk)
                at = 0
                if not buffer:
                    return
            if len(buffer) - at < head:
                self.fault = "ends within a record"
                return
            crc, length, tag = unpack(buffer, at)
            if length > MOST_PAYLOAD_BYTES:
                self.fault = "holds a record of impossible length"
                return
            after = at + head + length
            if after > len(buffer):
                self.fault = "ends within a record"
                return
            payload = buffer[at + head : after]
            if crc32(payload, crc32(buffer[at + 4 : at + head])) != crc:
                self.fault = "holds a record with a wrong checksum"
                return
            offset, self.end, at = self.end, self.end + after - at, after
            yield offset, tag, payload
