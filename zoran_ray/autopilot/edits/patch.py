"""Patches between `*** Begin Patch` and `*** End Patch`, which some models were trained to write.

Source: https://cookbook.openai.com/examples/gpt4-1_prompting_guide, "apply_patch".
"""

import re

from zoran_ray.autopilot.edits.edit import Edit, EditError, Remove, Replace, Write
from zoran_ray.autopilot.edits.lines import Lines, joined

BEGIN = re.compile(r"\s*\*\*\* Begin Patch\s*")
_END = re.compile(r"\s*\*\*\* End Patch\s*")
_FILE = re.compile(r"\*\*\* (?P<verb>Add|Update|Delete) File: (?P<path>.+?)\s*")
_HUNK = re.compile(r"@@.*")
_EOF = "*** End of File"


def read_patch(lines: Lines) -> list[Edit]:
    """All edits of the patch at the place. Raises: EditError: It has no end, or a part nobody knows."""
    lines.take()
    body = Lines("\n".join(lines.until(_END, "The patch")))
    edits: list[Edit] = []
    while body:
        if not body.here.strip():
            body.take()
            continue
        head = _FILE.fullmatch(body.take())
        if head is None:
            raise EditError(
                "A part of the patch begins with none of '*** Add File: ', '*** Update File: ',"
                " '*** Delete File: '. (Moving a file is not offered: add and delete.)"
            )
        edits += _of_file(head["verb"], head["path"], body)
    return edits


def _of_file(verb: str, path: str, body: Lines) -> list[Edit]:
    part = []
    while body and not _FILE.fullmatch(body.here):
        part.append(body.take())
    if verb == "Delete":
        return [Remove(path)]
    if verb == "Add":
        if wrong := [line for line in part if line.strip() and not line.startswith("+")]:
            raise EditError(f"In a new file of a patch each line begins with '+', not: {wrong[0][:80]!r}")
        return [Write(path, joined([line[1:] for line in part if line]))]
    return [Replace(path, *_sides(hunk)) for hunk in _hunks(part)]


def _hunks(part: list[str]) -> list[list[str]]:
    hunks: list[list[str]] = [[]]
    for line in part:
        if _HUNK.fullmatch(line):
            hunks.append([])
        elif line != _EOF:
            hunks[-1].append(line)
    return [hunk for hunk in hunks if any(line.strip() for line in hunk)]


def _sides(hunk: list[str]) -> tuple[str, str]:
    """Lines before and after."""
    while hunk and not hunk[-1]:
        hunk.pop()
    for line in hunk:
        if line and line[0] not in " +-":
            raise EditError(f"A line of a patch begins with ' ', '+' or '-', not: {line[:80]!r}")
    before = joined([line[1:] for line in hunk if not line.startswith("+")])
    after = joined([line[1:] for line in hunk if not line.startswith("-")])
    return before, after
