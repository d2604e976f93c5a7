"""Server-sent events, put together again from whatever pieces the network delivered.

Bytes in, events out; knows no provider and decodes no text, so a piece may end inside a character.

Source: WHATWG HTML, "Server-sent events", section 9.2.6: lines end in LF, CR or CRLF, a line that
begins with a colon is a comment, several `data` lines make one event.
"""

from collections.abc import Iterator
from dataclasses import dataclass

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""An inline image in one event is a few MB; a provider that writes this much is broken."""

_BOM = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """One event does not end where any sensible one would."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        data: The `data` lines, joined by line feeds; never empty.
        name: The `event` line; empty where there is none.
    """

    data: bytes
    name: str = ""


class Frames:
    """One stream's framing. Work per piece is linear in the piece, however long the event.

    Args:
        most_bytes: Largest event.
    """

    __slots__ = ("_after_cr", "_begun", "_data", "_line", "_most", "_name", "_size")

    def __init__(self, most_bytes: int = MAX_EVENT_BYTES) -> None:
        self._most = most_bytes
        self._line = bytearray()
        self._data: list[bytes] = []
        self._name = ""
        self._size = 0
        self._after_cr = False
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that this piece completes. Comments, ids and events without data are none.

        Raises:
            EventTooLarge: One is larger than `most_bytes`.
        """
        if not piece:
            return
        if self._after_cr and piece[:1] == b"\n":
            piece = piece[1:]  # the second half of a CRLF
        self._after_cr = piece.endswith(b"\r")
        for part in piece.splitlines(keepends=True):
            self._line += part
            if self._size + len(self._line) > self._most:
                raise EventTooLarge
            if part.endswith((b"\n", b"\r")):
                line = bytes(self._line).rstrip(b"\r\n")
                self._line.clear()
                if event := self._take(line):
                    yield event

    def rest(self) -> Event | None:
        """What stands at the end of the stream without the blank line that should follow it."""
        if self._line:
            self._take(bytes(self._line))
            self._line.clear()
        return self._take(b"")

    def _take(self, line: bytes) -> Event | None:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(_BOM)
        if not line:
            return self._complete()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._size += len(value) + 1
        elif field == b"event":
            self._name = value.decode("utf-8", errors="replace")
        return None

    def _complete(self) -> Event | None:
        data, name = b"\n".join(self._data), self._name
        self._data, self._name, self._size = [], "", 0
        return Event(data, name) if data else None
