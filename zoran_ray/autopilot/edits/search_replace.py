"""Blocks that say what is there and what is to be there, the usual format.

    path/of/the/file.py
    <<<<<<< SEARCH
    lines as they are
    =======
    lines as they shall be
    >>>>>>> REPLACE

Source: https://aider.chat/docs/more/edit-formats.html, "diff".
"""

import re

from zoran_ray.autopilot.edits.edit import EditError, Replace
from zoran_ray.autopilot.edits.lines import Lines, joined, path_in

BEGIN = re.compile(r"\s*<{5,9} ?SEARCH:?(?P<path> .+)?\s*")
_MIDDLE = re.compile(r"={7}\s*")
_END = re.compile(r"\s*>{5,9} ?REPLACE\s*")
_FENCE = re.compile(r"\s*(?:```|~~~)[\w.+-]*\s*")


def read_block(lines: Lines, last_path: str | None) -> Replace:
    """The block at the place.

    Args:
        last_path: Of the block before; a block without a path is about the same file.

    Raises:
        EditError: It has no end or no path, or two ways to read it.
    """
    first = lines.place + 1
    said = BEGIN.fullmatch(lines.take())
    assert said is not None
    path = (said["path"] and path_in(said["path"])) or _path_above(lines, first - 1) or last_path
    old = lines.until(_MIDDLE, "The SEARCH part")
    new = lines.until(_END, "The REPLACE part")
    if any(_MIDDLE.fullmatch(line) for line in new):
        raise EditError(
            f"The block in line {first} of your answer has more than one line '======='."
            " Write that file whole instead."
        )
    if path is None:
        raise EditError(
            f"The block in line {first} of your answer names no file."
            " Write the file's path on the line above '<<<<<<< SEARCH'."
        )
    return Replace(path, joined(old), joined(new))


def _path_above(lines: Lines, begin: int) -> str | None:
    """The path on the nearest line above that says something, fences passed over."""
    for line in reversed(lines.all[max(0, begin - 4) : begin]):
        if line.strip() and not _FENCE.fullmatch(line):
            return path_in(line)
    return None
