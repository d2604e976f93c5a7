"""Server-sent events out of bytes in any cutting. Knows the framing alone.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, "Interpreting an event stream".
Lines are split at LF, CR LF and CR only: the text of an answer may hold other line separators, raw.
"""

from zoran_ray.errors import UpstreamError

MAX_EVENT_BYTES = 8 * 1024 * 1024


class EventReader:
    """Collects the `data` of events from a stream of bytes."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[str]:
        """The events that `chunk` completes.

        Raises:
            UpstreamError: An event is too long or not UTF-8.
        """
        text = self._rest + chunk
        held = text.endswith(b"\r")  # an LF may follow in the next chunk
        lines = (text[:-1] if held else text).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop() + (b"\r" if held else b"")
        events = [event for line in lines if (event := self._line(line)) is not None]
        if self._size + len(self._rest) > MAX_EVENT_BYTES:
            raise UpstreamError("The server sent an event that is too long.")
        return events

    def _line(self, line: bytes) -> str | None:
        """Take one line; an empty one ends an event."""
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
                self._size += len(value)
            return None
        if not self._data:
            return None
        whole, self._data, self._size = b"\n".join(self._data), [], 0
        try:
            return whole.decode("utf-8")
        except UnicodeDecodeError:
            raise UpstreamError("The server sent an event that is not UTF-8.") from None
