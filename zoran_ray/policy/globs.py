"""Path patterns of a policy: gitignore's, without negation, escapes and what is slow to match.

`*` and `?` stay within a name, `**` crosses folders, `[a-c]` is one character. A pattern with a slash other
than at its end starts at the root of the repository; one without matches at every depth. A pattern that
matches a folder matches all that lies in it. There is no `!`: what is forbidden has lists of its own.

Source: the pattern format of gitignore(5), as pathspec reads it.
"""

import re
import unicodedata
from collections.abc import Sequence

from pathspec import PathSpec
from pathspec.pattern import Pattern

MAX_GLOB = 256
"""Longest pattern, in characters."""


def checked_glob(glob: str) -> str:
    """The pattern itself.

    Raises:
        ValueError: It is not of the dialect; says why.
    """
    parts = glob.split("/")
    if not glob.strip("/ ") or len(glob) > MAX_GLOB:
        raise ValueError(f"a path pattern has 1 to {MAX_GLOB} characters, and not only slashes")
    if glob[0] in "!#" or glob != glob.strip() or "\\" in glob or not glob.isprintable():
        raise ValueError("a path pattern has no '!' or '#' at its start, no '\\' and no space at its ends")
    if "." in parts or ".." in parts or not unicodedata.is_normalized("NFC", glob):
        raise ValueError("a path pattern has no part '.' or '..', and is in Unicode's normal form NFC")
    if parts.count("**") > 2 or any(part.count("*") > 2 for part in parts):
        # What a pattern with more stars costs grows with a power of the path's length.
        raise ValueError("a path pattern has at most two '**', and at most two '*' in a name")
    if any("**" in part and part != "**" for part in parts):
        raise ValueError("'**' stands alone between slashes; write '*' within a name")
    try:
        Globs([glob]), Globs([glob], folded=True)
    except (ValueError, re.error):
        raise ValueError("a path pattern's [..] holds characters in their order, as [a-c]") from None
    return glob


class Globs:
    """Some patterns, ready to match.

    Args:
        globs: Of the dialect.
        folded: Whether to match as a file system that knows no case would.
    """

    def __init__(self, globs: Sequence[str], folded: bool = False) -> None:
        self._folded = folded
        lines = [fold(glob) if folded else glob for glob in globs]
        self._spec: PathSpec[Pattern] = PathSpec.from_lines("gitignore", lines)

    def match(self, path: str) -> bool:
        """Whether one of them matches a path that `name_fault` has nothing against."""
        return self._spec.match_file(fold(path) if self._folded else path)


def fold(text: str) -> str:
    """The same for all texts that a forgiving file system takes for one name."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
