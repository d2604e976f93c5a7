"""Which paths the `.gitignore` files of a folder leave out. Knows no file but these.

Not asked of git itself: a repository's own configuration may make git run programs, and a folder need not
be a repository.

Source: git's documentation of gitignore: the last pattern that fits decides, of several files the deepest.
"""

from pathspec import GitIgnoreSpec

MOST_PATTERNS = 2000
_MOST_STARS = 8
"""Of one pattern; one with more could keep the matcher busy for ever."""


class Ignores:
    """Rules of folders, told from the top down."""

    def __init__(self) -> None:
        self._specs: dict[str, GitIgnoreSpec] = {}

    def add(self, folder: str, text: str) -> None:
        """The rules of a folder's `.gitignore`.

        Args:
            folder: Its path from the root, with `/` at its end; empty for the root.
            text: Of the file.
        """
        lines = [line for line in text.splitlines() if line.count("*") <= _MOST_STARS]
        try:
            self._specs[folder] = GitIgnoreSpec.from_lines(lines[:MOST_PATTERNS])
        except ValueError:  # git leaves out what it cannot read, line by line; so do we
            self._specs[folder] = GitIgnoreSpec.from_lines(filter(_can_be_read, lines[:MOST_PATTERNS]))

    def leaves_out(self, path: str) -> bool:
        """Whether a path is left out; a folder's ends in `/`. Those above it are not looked at."""
        folder = path.rstrip("/").rpartition("/")[0]
        while True:
            start = f"{folder}/" if folder else ""
            if spec := self._specs.get(start):
                verdict = spec.check_file(path[len(start) :]).include
                if verdict is not None:
                    return verdict
            if not folder:
                return False
            folder = folder.rpartition("/")[0]


def _can_be_read(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
