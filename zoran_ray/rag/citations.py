"""The lines that an answer names, checked against the passages it was given. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from zoran_ray.rag.passages import Passage

_ANY = r"(?:[\w@.+-]+/)*[\w@.+-]+\.[A-Za-z]\w{0,9}"
"""What looks like a file."""
_LINES = r":\s?(?:L|line )?(\d{1,7})(?:\s?[-\u2013]\s?L?(\d{1,7}))?"
_NUMBERS = re.compile(r"(?<![\w\])])(?:\[\d{1,3}(?:, ?\d{1,3})*\])+(?![\w(])")
"""`[1]`, `[1][2]` and `[1, 2]`, but not the `[1]` of `a[1]`."""


@dataclass(frozen=True, slots=True)
class Citation:
    """Lines of a file that an answer names.

    Attributes:
        path: Of the file.
        first: First line.
        last: Last line.
    """

    path: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.path}:{self.first}" + (f"-{self.last}" if self.last > self.first else "")


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer whose citations were checked.

    Attributes:
        text: The answer; what it cited without having been given it is replaced by `[?]`.
        citations: What it cites and was given, each once, in the order of the answer.
        invented: What it cited and was not given.
    """

    text: str
    citations: tuple[Citation, ...]
    invented: tuple[str, ...]


def checked(answer: str, given: Sequence[Passage]) -> Checked:
    """Checks the citations of an answer: `path:12`, `path:12-20`, and numbers of passages as `[2]`."""
    good: dict[Citation, None] = {}
    bad: dict[str, None] = {}

    def place(match: re.Match[str]) -> str:
        path, first, last = match[1], int(match[2]), int(match[3] or match[2])
        found = _within(given, path, first, last)
        if found is None and any(match[0] in each.text for each in given):
            return match[0]  # it stands there itself, as an address might
        if found is None:
            bad[match[0]] = None
            return "?"
        good[found] = None
        return str(found)

    def numbers(match: re.Match[str]) -> str:
        named = [int(number) for number in re.findall(r"\d+", match[0])]
        if not all(1 <= number <= len(given) for number in named):
            return match[0]  # numbers in brackets may be anything
        return " ".join(f"[{given[number - 1].place}]" for number in named)

    # First the numbers: what replaces them is found again below, and is right.
    text = _NUMBERS.sub(numbers, answer)
    text = _pattern(given).sub(place, text)
    return Checked(text, tuple(good), tuple(bad))


def _pattern(given: Sequence[Passage]) -> re.Pattern[str]:
    """Names of the given files, whatever is in them, and whatever else looks like a file with a line."""
    paths = sorted({each.path for each in given}, key=len, reverse=True)
    names = "|".join([*map(re.escape, paths), _ANY])
    return re.compile(f"(?<![\\w/.@+-])({names}){_LINES}")


def _within(given: Sequence[Passage], path: str, first: int, last: int) -> Citation | None:
    for each in given:
        if each.path == path and each.first <= first <= last <= each.last:
            return Citation(path, first, last)
    return None
