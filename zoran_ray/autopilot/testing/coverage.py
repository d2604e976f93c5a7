"""Which share of the lines of a change tests ran. No evidence of anything: it only feeds confidence.

What there is to run is read from the change itself; what did run is the word of a run that the change
could write to. So a false word can say no more than that every line ran.
"""

import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise, takewhile
from typing import Any

from zoran_ray.autopilot.testing.apart import executable_lines

Lines = Mapping[str, frozenset[int]]
"""Line numbers, from 1, by path."""

MOST_SOURCE_BYTES = 1024 * 1024
MOST_REPORT_BYTES = 4 * 1024 * 1024

_RAN = re.compile(rb"^(\d{1,6}) (\d{1,7})$", re.MULTILINE)


def changed_lines(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Lines:
    """Lines of Python that came or changed, and that there is something to run in.

    A file that cannot be compiled counts with all its new lines: nothing in it can be shown to run. Blocks
    while they are compiled.
    """
    new = {
        path: frozenset(_new(before.get(path, b"").splitlines(), content.splitlines()))
        for path, content in after.items()
        if path.endswith(".py") and before.get(path) != content
    }
    paths = [path for path in new if len(after[path]) <= MOST_SOURCE_BYTES]
    for path, executable in zip(paths, executable_lines([after[path] for path in paths]), strict=True):
        if executable is not None:
            new[path] &= executable
    return {path: lines for path, lines in new.items() if lines}


def covered(changed: Lines, report: bytes) -> float | None:
    """The share of these lines that ran, 0..1.

    Args:
        changed: Of `changed_lines`.
        report: As the run's plugin writes it about these files in their order, or whatever it is.

    Returns:
        None if there is nothing to run.
    """
    if not (wanted := sum(map(len, changed.values()))):
        return None
    paths, ran = sorted(changed), set[tuple[int, int]]()
    for match in _RAN.finditer(report[:MOST_REPORT_BYTES]):
        place, line = int(match[1]), int(match[2])
        if place < len(paths) and line in changed.get(paths[place], ()):
            ran.add((place, line))
    return len(ran) / wanted


def _new(old: list[bytes], new: list[bytes]) -> Iterator[int]:
    """Numbers of new lines that are not in the old text, and of some that only stand between such.

    In time that grows as the texts do, whatever they hold, which a smallest difference does not promise.
    """
    ends = [(-1, -1), *_anchors(old, new), (len(old), len(new))]
    for (old_before, new_before), (old_after, new_after) in pairwise(ends):
        gone, came = old[old_before + 1 : old_after], new[new_before + 1 : new_after]
        head = _same(gone, came)
        tail = _same(gone[head:][::-1], came[head:][::-1])
        first = new_before + 2
        yield from range(first + head, first + len(came) - tail)


def _anchors(old: list[bytes], new: list[bytes]) -> list[tuple[int, int]]:
    """Places of lines that each text has once, as many as stand in one order in both ("patience diff").

    Source: Schensted, "Longest increasing and decreasing subsequences", Can. J. Math. 13, 1961.
    """
    once = {line for line, count in Counter(old).items() if count == 1}
    once &= {line for line, count in Counter(new).items() if count == 1}
    places = {line: place for place, line in enumerate(new)}
    ends, chains = list[int](), list[tuple[int, int, Any]]()
    for place, line in enumerate(old):
        if line not in once:
            continue
        pile = bisect(ends, places[line])
        longer = (place, places[line], chains[pile - 1] if pile else None)
        chains[pile : pile + 1], ends[pile : pile + 1] = [longer], [places[line]]
    found = list[tuple[int, int]]()
    chain = chains[-1] if chains else None
    while chain:
        found.append(chain[:2])
        chain = chain[2]
    return found[::-1]


def _same(one: list[bytes], other: list[bytes]) -> int:
    """How many lines both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
