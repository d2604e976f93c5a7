"""Unified diffs, as git and diff write them. Line numbers are not trusted: models count badly.

Source: POSIX.1-2017, diff, "Diff -u Output Format"; git-diff(1).
"""

import re

from zoran_ray.autopilot.edits.edit import Edit, EditError, Remove, Replace, Write
from zoran_ray.autopilot.edits.lines import Lines, joined

OLD = re.compile(r"--- (?P<path>\S+).*")
_NEW = re.compile(r"\+\+\+ (?P<path>\S+).*")
HUNK = re.compile(r"@@(?: -\d+(?:,\d+)? \+\d+(?:,\d+)? @@.*)?.*")
_NOTHING = "/dev/null"
_NO_END = "\\ No newline at end of file"


def begins(lines: Lines) -> bool:
    """Whether the diff of a file begins at the place."""
    after = lines.all[lines.place + 1 : lines.place + 2]
    return bool(OLD.fullmatch(lines.here)) and bool(after) and bool(_NEW.fullmatch(after[0]))


def read_file(lines: Lines) -> list[Edit]:
    """The changes of one file. Raises: EditError: It has no hunk."""
    first = lines.place + 1
    old, new = OLD.fullmatch(lines.take()), _NEW.fullmatch(lines.take())
    assert old is not None
    assert new is not None
    hunks = []
    while lines and HUNK.fullmatch(lines.here):
        lines.take()
        hunks.append(hunk(lines))
    if not hunks:
        raise EditError(f"The diff in line {first} of your answer has no hunk that begins with '@@'.")
    if new["path"] == _NOTHING:
        return [Remove(_bare(old["path"]))]
    path = _bare(new["path"])
    if old["path"] == _NOTHING:
        return [Write(path, "".join(text for _, text in hunks))]
    return [Replace(path, before, after) for before, after in hunks]


def hunk(lines: Lines) -> tuple[str, str]:
    """The lines before and after, of the hunk at the place; it ends where a line is none of a hunk."""
    before, after = list[str](), list[str]()
    while lines:
        line = lines.here
        # An empty context line often comes without its blank.
        mark, rest = (line[0], line[1:]) if line else (" ", "")
        if mark not in " +-" or begins(lines):
            if line != _NO_END:
                break
        elif mark == " ":
            before.append(rest)
            after.append(rest)
        else:
            (before if mark == "-" else after).append(rest)
        lines.take()
    while before and after and not before[-1].strip() and before[-1] == after[-1]:
        before.pop()  # blank lines after the last hunk belong to the answer
        after.pop()
    return joined(before), joined(after)


def _bare(path: str) -> str:
    return path[2:] if path[:2] in ("a/", "b/") else path
