"""Finds the runs of digit groups in which every numeric kind is looked for. One pass over the text."""

import re
from collections.abc import Iterator

SPACES = " \u00a0\u202f"
"""Blanks that stand within numbers: plain, no-break, and the narrow one of French typography."""

RIGHT = r"(?![0-9A-Za-z_])(?![.\-][0-9])"
"""Where a number may end: not inside a word, a decimal or a longer hyphenated number."""

# Possessive: what was taken is never given back. The letter is that of a Corsican department in a NIR.
_RUN = re.compile(
    rf"[0-9](?:[0-9]++|(?<=2)[ABab](?=[{SPACES}.\-]?[0-9]{{3}})|[{SPACES}.\-/()\u2011]{{1,3}}(?=[0-9]))*+"
)
_START = re.compile(r"(?<![0-9A-Za-z_])(?<![0-9][.\-])[0-9]")


def runs(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of every run: digits, and what may stand between the groups of one number."""
    for match in _RUN.finditer(text):
        yield match.span()


def is_start(text: str, place: int) -> bool:
    """Whether a number may begin with the digit at `place`."""
    return _START.match(text, place) is not None


def starts(text: str, start: int, end: int) -> Iterator[int]:
    """Where within a run a number may begin."""
    for match in _START.finditer(text, start, end):
        yield match.start()
