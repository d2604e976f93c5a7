"""What of a text in the making can be said already, so that nothing said has to be taken back. Pure."""

import re

from zoran_ray.reasoning.answers import EMPHASIS
from zoran_ray.reasoning.completion import Hear


def before_marker(hear: Hear, marker: str) -> Hear:
    """Passes on the thought that `final_answer` will find, as far as it is certain, however it is cut.

    The last marker counts: what follows one is held back until there is another. What is passed on is a
    beginning of the thought; of a text without a marker, of the text between its outer signs of emphasis.

    Args:
        hear: Told what is certain.
        marker: Stands before the answer; not empty.
    """
    return _Certain(hear, marker, EMPHASIS).feed


def stripped(hear: Hear) -> Hear:
    """Passes a text on without white space at its beginning and its end, however it is cut."""
    return _Certain(hear, "", None).feed


class _Certain:
    def __init__(self, hear: Hear, marker: str, strip: str | None) -> None:
        self._hear = hear
        self._marker = re.compile(re.escape(marker), re.IGNORECASE) if marker else None
        self._room = max(0, len(marker) - 1)
        """Signs at the end that may be the beginning of a marker."""
        self._strip = strip
        self._held = ""
        self._from = 0
        """Where in what is held a marker is looked for."""
        self._marked = False
        self._began = False

    def feed(self, piece: str) -> None:
        self._held += piece
        end = self._certain()
        ready = self._held[:end].rstrip(self._strip)
        if not self._began:
            bare = ready.lstrip(self._strip)
            self._cut(len(ready) - len(bare))
            ready = bare
        if ready:
            self._began = True
            self._cut(len(ready))
            self._hear(ready)

    def _certain(self) -> int:
        """How much of what is held stands before the last marker, or before where one may begin."""
        if self._marker is None:
            return len(self._held)
        end = 0
        for found in self._marker.finditer(self._held, self._from):
            self._marked, end, self._from = True, found.start(), found.end()
        self._from = max(self._from, len(self._held) - self._room)
        return end if self._marked else self._from

    def _cut(self, length: int) -> None:
        self._held = self._held[length:]
        self._from = max(0, self._from - length)
