"""Keeps the start and the end of an output that may be endless."""

from collections import deque


class HeadAndTail:
    """Takes any amount of bytes and holds at most `limit_bytes` of them.

    Args:
        limit_bytes: Half of it for the start, half for the end.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._head_room = limit_bytes - limit_bytes // 2
        self._tail_room = limit_bytes // 2
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self.seen_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take what comes next."""
        self.seen_bytes += len(data)
        room = self._head_room - len(self._head)
        self._head += data[:room]
        rest = data[room:]
        if not rest or not self._tail_room:
            return
        self._tail.append(rest[-self._tail_room :])
        self._tail_bytes += len(self._tail[-1])
        while self._tail_bytes - len(self._tail[0]) >= self._tail_room:
            self._tail_bytes -= len(self._tail.popleft())

    @property
    def cut_bytes(self) -> int:
        """How many are missing from the middle."""
        return max(0, self.seen_bytes - self._head_room - self._tail_room)

    def value(self) -> bytes:
        """What is held, with a line in the middle that says how much is not."""
        tail = b"".join(self._tail)
        if not self.cut_bytes:
            return bytes(self._head) + tail
        mark = f"\n[... {self.cut_bytes} bytes cut here ...]\n".encode()
        return bytes(self._head) + mark + tail[len(tail) - self._tail_room :]
