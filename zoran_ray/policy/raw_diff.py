"""Reads what git says about a diff, byte for byte. Judges nothing, runs nothing.

Source: git-diff(1) of git 2.39, "Raw output format" and "Other diff formats", with `-z`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from zoran_ray.errors import InvalidRequest
from zoran_ray.policy.rules import Operation

DIFF_OPTIONS = (
    "--raw",
    "--numstat",
    "--patch",
    "-z",
    "--no-abbrev",
    "--no-renames",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-indent-heuristic",
    "--ignore-submodules=none",
    "--submodule=short",
    "--text",
    "-U3",
)
"""What `git diff` must be given for `read_diff` to read its output, whatever git's configuration says."""

Item = TypeVar("Item")

MOST_CHANGES = 10_000
_RAW = re.compile(rb":([0-7]{6}) ([0-7]{6}) [0-9a-f]{4,64} [0-9a-f]{4,64} ([A-Z])[0-9]{0,3}\0")
_STAT = re.compile(rb"(?:([0-9]{1,18})\t([0-9]{1,18})|-\t-)\t")

LINK, SUBMODULE, EXECUTABLE = "120000", "160000", "100755"
REGULAR = frozenset({"100644", EXECUTABLE})
ABSENT = "000000"
_OPERATIONS: dict[str, Operation] = {"A": "add", "M": "modify", "D": "delete", "T": "modify"}


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the raw format.

    Attributes:
        status: `A`, `M`, `D`, `T`, `R`, `C`, or what git may think of.
        old_mode: Six octal digits; `000000` where there was no file.
        new_mode: Likewise.
        path: After the change.
        old_path: Before a rename or copy; else empty.
    """

    status: str
    old_mode: str
    new_mode: str
    path: str
    old_path: str = ""

    @property
    def operations(self) -> tuple[tuple[str, Operation], ...]:
        """What is done with which path; empty where the status is none that we know."""
        if self.status in "RC" and self.old_path:
            gone: tuple[tuple[str, Operation], ...] = ((self.old_path, "delete"),)
            return (*(gone if self.status == "R" else ()), (self.path, "add"))
        found = _OPERATIONS.get(self.status)
        return ((self.path, found),) if found else ()


@dataclass(frozen=True, slots=True)
class Diff:
    """A diff as git tells it.

    Attributes:
        changes: Entries of the raw format, in git's order.
        lines: Lines added and removed by path; None for a binary file. Empty where git was not asked.
        patch: The patch; None where git was not asked.
    """

    changes: tuple[Change, ...]
    lines: dict[str, tuple[int, int] | None] = field(default_factory=dict)
    patch: bytes | None = field(default=None, repr=False)


def read_diff(output: bytes) -> Diff:
    """Read what `git diff` printed with `DIFF_OPTIONS`, or with `--raw -z` alone.

    Raises:
        InvalidRequest: It is not of this format, or has more than `MOST_CHANGES` entries.
    """
    reader = _Reader(output)
    changes = reader.several(_RAW, _change)
    stats = reader.several(_STAT, _stat)
    lines = dict(stats)
    if len(lines) != len(stats):
        raise InvalidRequest("git's diff counts the lines of a file twice.")
    patch = None
    if reader.place < len(output):
        if output[reader.place] != 0:
            raise InvalidRequest(f"git's diff cannot be read at byte {reader.place}.")
        patch = output[reader.place + 1 :]
    return Diff(tuple(changes), lines, patch)


class _Reader:
    """A place in the output."""

    def __init__(self, output: bytes) -> None:
        self.output = output
        self.place = 0

    def several(
        self, head: re.Pattern[bytes], make: Callable[[re.Match[bytes], "_Reader"], Item]
    ) -> list[Item]:
        """All entries that begin as `head` says."""
        found: list[Item] = []
        while match := head.match(self.output, self.place):
            if len(found) == MOST_CHANGES:
                raise InvalidRequest(f"The diff has more than {MOST_CHANGES} entries.")
            self.place = match.end()
            found.append(make(match, self))
        return found

    def name(self) -> str:
        """The next name; empty where two follow, as for the numbers of a rename."""
        end = self.output.find(b"\0", self.place)
        if end < 0:
            raise InvalidRequest("git's diff ends within a name.")
        raw, self.place = self.output[self.place : end], end + 1
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidRequest("A file's name in the diff is not UTF-8.") from None


def _change(match: re.Match[bytes], reader: _Reader) -> Change:
    old_mode, new_mode, status = (part.decode() for part in match.groups())
    first = reader.name()
    if status in "RC":
        return Change(status, old_mode, new_mode, reader.name(), first)
    return Change(status, old_mode, new_mode, first)


def _stat(match: re.Match[bytes], reader: _Reader) -> tuple[str, tuple[int, int] | None]:
    name = reader.name()
    if not name:
        reader.name()
        name = reader.name()
    return name, None if match[1] is None else (int(match[1]), int(match[2]))
