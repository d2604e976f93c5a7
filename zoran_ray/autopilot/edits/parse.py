"""From a model's answer to its edits, in any known format; what looks like an edit is never dropped."""

import re

from zoran_ray.autopilot.edits import patch, search_replace, unified
from zoran_ray.autopilot.edits.edit import Edit, EditError, Replace
from zoran_ray.autopilot.edits.lines import Lines
from zoran_ray.autopilot.edits.whole_file import FENCE, name_above, read_fence, written

MOST_ANSWER_CHARS = 1_000_000
MOST_EDITS = 200

_STRAY = re.compile(r"\s*(?:[<>]{7} ?\w|={7}$|@@ -\d|\*\*\* (?:Begin|End|Add|Update|Delete) |diff --git )")


def parse_edits(answer: str, only_path: str | None = None) -> tuple[Edit, ...]:
    """Everything that an answer asks for, in its order.

    Args:
        only_path: The one file that was asked about: a single fence without a path is that file.

    Raises:
        EditError: Nothing is asked for, or a part cannot be read; the message says which line and why.
    """
    if len(answer) > MOST_ANSWER_CHARS:
        raise EditError(f"The answer is longer than {MOST_ANSWER_CHARS} characters. Change less at once.")
    reader = _Reader(answer)
    reader.read()
    edits = reader.edits
    if not edits and len(reader.bare) == 1 and only_path is not None:
        edits = [written(only_path, reader.bare[0])]
    if not edits:
        raise EditError(
            "The answer changes nothing: there is no SEARCH and REPLACE block, diff, or whole file"
            " under its path in it."
        )
    if reader.misnamed:
        raise EditError(
            f"What stands under {reader.misnamed[0][:80]!r} would be left out: that is no path of a file."
            " Write the whole path there, or leave that text away."
        )
    if len(edits) > MOST_EDITS:
        raise EditError(f"The answer has more than {MOST_EDITS} edits. Change less at once.")
    return tuple(edits)


class _Reader:
    """Reads an answer from its first line to its last.

    Attributes:
        edits: What it asks for.
        bare: What stands in fences under no path, and so is only shown.
        misnamed: What stands above such a fence and is meant for a file, but is no path.
    """

    def __init__(self, answer: str) -> None:
        self.edits: list[Edit] = []
        self.bare: list[list[str]] = []
        self.misnamed: list[str] = []
        self._lines = Lines(answer)
        self._dressed = False  # within a fence that is there for looks, around edits of another format

    def read(self) -> None:
        """Raises: EditError: A part cannot be read."""
        lines = self._lines
        while lines:
            if search_replace.BEGIN.fullmatch(lines.here):
                last = self.edits[-1] if self.edits else None
                path = last.path if isinstance(last, Replace) else None
                self.edits.append(search_replace.read_block(lines, path))
            elif patch.BEGIN.fullmatch(lines.here):
                self.edits += patch.read_patch(lines)
            elif unified.begins(lines):
                self.edits += unified.read_file(lines)
            elif FENCE.fullmatch(lines.here.rstrip()):
                self._fence()
            else:
                _refuse_stray(lines)

    def _fence(self) -> None:
        if self._dressed or _holds_edits(self._lines):
            self._lines.take()
            self._dressed = not self._dressed
            return
        name = name_above(self._lines)
        path, body = read_fence(self._lines)
        if path is None:
            self.bare.append(body)
            self.misnamed += [name] if name else []
        else:
            self.edits.append(written(path, body))


def _holds_edits(lines: Lines) -> bool:
    """Whether edits of another format begin right inside the fence at the place."""
    for place in range(lines.place + 1, min(lines.place + 6, len(lines.all))):
        line = lines.all[place]
        if search_replace.BEGIN.fullmatch(line) or patch.BEGIN.fullmatch(line):
            return True
        if line.startswith("diff --git ") or unified.OLD.fullmatch(line):
            return True
        if FENCE.fullmatch(line.rstrip()):
            return False
    return False


def _refuse_stray(lines: Lines) -> None:
    """Raises: EditError: The line belongs to an edit that could not be read."""
    line = lines.take()
    if _STRAY.match(line) and not line.startswith("diff --git "):
        raise EditError(
            f"Line {lines.place} of your answer belongs to no whole edit: {line.strip()[:80]!r}."
            " Write each edit from its first to its last mark."
        )
