"""Whole files, each in a fence under its path: for small models and short files.

Source: https://aider.chat/docs/more/edit-formats.html, "whole".
"""

import re

from zoran_ray.autopilot.edits.edit import EditError, Write
from zoran_ray.autopilot.edits.lines import Lines, joined, name_in, path_in

FENCE = re.compile(r"(?P<marks>`{3,}|~{3,})(?P<info>[^`]*)")


def name_above(lines: Lines) -> str | None:
    """The word above the fence at the place, or last in it, that is meant for a file and is no path."""
    named = [line for line in lines.all[max(0, lines.place - 2) : lines.place] if line.strip()]
    words = [word for word in lines.here.split()[1:] if "/" in word]
    return next(filter(None, map(name_in, [*named[-1:], *words[-1:]])), None)


def read_fence(lines: Lines) -> tuple[str | None, list[str]]:
    """The path above the fence at the place, or None, and what is in it. Raises: EditError: No end."""
    above = lines.all[max(0, lines.place - 2) : lines.place]
    head = FENCE.fullmatch(lines.take().rstrip())
    assert head is not None
    named = [line for line in above if line.strip()]
    words = head["info"].split()
    path = (named and path_in(named[-1])) or (words and "/" in words[-1] and path_in(words[-1])) or None
    end = re.compile(re.escape(head["marks"]) + r"\s*")
    return path or None, lines.until(end, "The fence")


def written(path: str, body: list[str]) -> Write:
    """The file. Raises: EditError: Something was left out."""
    for line in body:
        if _LEFT_OUT.search(line):
            raise EditError(
                f"The text of {path[:120]!r} leaves something out: {line.strip()[:80]!r}."
                " Write the file whole, or use SEARCH and REPLACE."
            )
    return Write(path, joined(body))


_LEFT_OUT = re.compile(
    r"(?:#|//|--|/\*|<!--)\s*(?:\.\.\.|…)?\s*(?:the\s+)?(?:rest|remaining|existing|other|unchanged|same)"
    r"\s[\w\s]*(?:code|file|unchanged|here|as before|functions|methods|imports)\b",
    re.IGNORECASE,
)
