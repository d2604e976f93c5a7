"""Texts cut into passages that know their lines. Pure.

A passage ends where a text does so itself, as far as its size allows: after an empty line, best of all
where the next one begins at the margin.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

MOST_LINES = 60
MOST_CHARS = 1800
MOST_LINE_CHARS = 1000
"""What a line has beyond is left out: lines of that length are written by machines."""
MOST_PASSAGES = 2000
"""Of one file."""
_OVERLAP = 4
"""Lines that are told again where a passage had to be cut anywhere."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Some lines of a file.

    Attributes:
        path: Of the file, from the root.
        first: Its first line, counted from 1.
        last: Its last line.
        text: What stands there.
    """

    path: str
    first: int
    last: int
    text: str = field(repr=False)

    @property
    def place(self) -> str:
        """As it is cited: `path:first-last`."""
        return f"{self.path}:{self.first}" + (f"-{self.last}" if self.last > self.first else "")


def passages(path: str, text: str) -> list[Passage]:
    """The passages of a text: together they hold every line that is not empty."""
    lines = [line[:MOST_LINE_CHARS] for line in text.split("\n")]
    found = []
    for start, stop in _cuts(lines):
        while start < stop and not lines[start].strip():
            start += 1
        while stop > start and not lines[stop - 1].strip():
            stop -= 1
        if start < stop:
            found.append(Passage(path, start + 1, stop, "\n".join(lines[start:stop])))
        if len(found) == MOST_PASSAGES:
            break
    return found


def _cuts(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(lines):
        stop = _reach(lines, start)
        if stop == len(lines):
            yield start, stop
            return
        # Not in the first half: passages would become small.
        least = start + (stop - start + 1) // 2
        better = max(range(stop, least - 1, -1), key=lambda line: _break_at(lines, line))
        good = _break_at(lines, better) > 0
        stop = better if good else stop
        yield start, stop
        start = stop if good else max(start + 1, stop - _OVERLAP)


def _reach(lines: Sequence[str], start: int) -> int:
    """Where a passage that begins at `start` ends at the latest; at least one line later."""
    chars, stop = len(lines[start]) + 1, start + 1
    while stop < len(lines) and stop - start < MOST_LINES:
        chars += len(lines[stop]) + 1
        if chars > MOST_CHARS:
            break
        stop += 1
    return stop


def _break_at(lines: Sequence[str], line: int) -> int:
    """How well a text can be cut before a line: 2, 1 or 0."""
    if lines[line - 1].strip() or not lines[line].strip():
        return 0
    return 1 if lines[line][0].isspace() else 2
