"""Where in a file a passage is: exactly there, or there but for blanks; never two places, never a guess."""

import difflib
import textwrap

from zoran_ray.autopilot.edits.edit import EditError

MOST_SHOWN_LINES = 12
_ALIKE = 0.5


def replaced(path: str, text: str, old: str, new: str) -> str:
    """The text with one passage replaced.

    The passage is looked for as it is written; where it is nowhere, for lines that differ from it in blanks
    alone, and then the new lines are moved in or out as far as the old ones are.

    Raises:
        EditError: It is in no place or in several; the message shows the nearest lines.
    """
    here, ends = _lines(text), _lines(old)
    places = _places(here, ends)
    if not places:
        bare = [_bare(line) for line in ends]
        places = _places([_bare(line) for line in here], bare)
        if len(places) == 1:
            new = _moved(here[places[0] : places[0] + len(ends)], ends, new)
    if len(places) != 1:
        raise EditError(_many(path, places) if places else _none(path, here, ends))
    first = places[0]
    return "".join(here[:first]) + new + "".join(here[first + len(ends) :])


def _lines(text: str) -> list[str]:
    """Lines with their ends, the last one's too. (`splitlines` would also cut at form feeds.)"""
    lines = text.split("\n")
    return [f"{line}\n" for line in (lines if lines[-1] else lines[:-1])]


def _places(lines: list[str], passage: list[str]) -> list[int]:
    size = len(passage)
    return [at for at in range(len(lines) - size + 1) if lines[at : at + size] == passage]


def _bare(line: str) -> str:
    return " ".join(line.split())


def _moved(there: list[str], old: list[str], new: str) -> str:
    """New lines with the indentation of the passage in the file instead of the one in the answer."""
    said, is_ = _margin(old), _margin(there)
    if said == is_:
        return new
    lines = _lines(new)
    if all(line.startswith(said) or not line.strip() for line in lines):
        return "".join(is_ + line[len(said) :] if line.strip() else line for line in lines)
    return textwrap.indent(textwrap.dedent(new), is_)


def _margin(lines: list[str]) -> str:
    """Blanks before the first line that says something."""
    first = next((line for line in lines if line.strip()), "")
    return first[: len(first) - len(first.lstrip())]


def _many(path: str, places: list[int]) -> str:
    numbers = ", ".join(str(place + 1) for place in places[:8])
    return (
        f"{path}: the passage stands in {len(places)} places (lines {numbers})."
        " Give more lines around it, so that it is one."
    )


def _none(path: str, here: list[str], passage: list[str]) -> str:
    nearest, alike = _nearest(here, passage)
    said = f"{path}: the passage is not in the file."
    if alike < _ALIKE:
        return f"{said} Nothing in it is like it; read the file again."
    shown = "".join(here[nearest : nearest + min(len(passage) + 2, MOST_SHOWN_LINES)])
    return f"{said} The nearest lines, from line {nearest + 1}:\n{shown}Copy them exactly."


def _nearest(here: list[str], passage: list[str]) -> tuple[int, float]:
    """Where the lines most like a passage begin, and how like they are (0..1)."""
    wanted = [_bare(line) for line in passage]
    best, alike = 0, 0.0
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(" ".join(wanted))
    candidates = range(max(1, len(here) - len(passage) + 1))
    for at in candidates[:_MOST_TRIED]:
        matcher.set_seq1(" ".join(_bare(line) for line in here[at : at + len(passage)]))
        if matcher.real_quick_ratio() > alike and matcher.quick_ratio() > alike:
            ratio = matcher.ratio()
            if ratio > alike:
                best, alike = at, ratio
    return best, alike


_MOST_TRIED = 5000
"""Places that are compared: a file of many thousand lines is not worth minutes."""
