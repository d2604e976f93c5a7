"""A table of contents of a repository within a size: the files that matter most with what they define, then
as many names of files as have room. Pure."""

from collections.abc import Callable, Sequence

from zoran_ray.autopilot.context.symbols import symbols_of

MOST_LISTED_SYMBOLS = 40
"""Of one file."""
_FOR_SYMBOLS = 0.7
"""Share of the room that files with their definitions may take."""
_REST_CHARS = 40


def repository_map(paths: Sequence[str], text_of: Callable[[str], str], most_chars: int) -> str:
    """The map.

    Args:
        paths: All files, the most important first.
        text_of: A file's text.
        most_chars: Longest map.
    """
    parts, room = list[str](), most_chars - _REST_CHARS
    place = 0
    for path in paths:
        entry = _entry(path, text_of(path))
        if len(entry) + 1 > room - most_chars * (1 - _FOR_SYMBOLS):
            break
        parts.append(entry)
        room -= len(entry) + 1
        place += 1
    for path in paths[place:]:
        if len(path) + 1 > room:
            break
        parts.append(path)
        room -= len(path) + 1
        place += 1
    if left := len(paths) - place:
        parts.append(f"… and {left} more files")
    return "\n".join(parts)


def _entry(path: str, text: str) -> str:
    symbols = symbols_of(path, text)
    told = [f"  {symbol.line}: {symbol.head}" for symbol in symbols[:MOST_LISTED_SYMBOLS]]
    if len(symbols) > MOST_LISTED_SYMBOLS:
        told.append(f"  … and {len(symbols) - MOST_LISTED_SYMBOLS} more")
    return "\n".join([path, *told])
