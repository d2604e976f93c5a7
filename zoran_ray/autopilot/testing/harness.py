"""Which files judge a change: they are taken from the base commit, whatever the change does to them."""

from collections.abc import Iterable, Mapping

from pathspec import GitIgnoreSpec

SELF_LOADED = (
    *("sitecustomize.py", "usercustomize.py", "*.pth", "pytest.py", "pluggy.py", "_pytest/"),
    *("/pytest/", "/pluggy/", "/src/pytest/", "/src/pluggy/", "*.egg-info/", "*.dist-info/"),
)
"""As in a `.gitignore`: what Python or pytest would load by itself, in place of what is installed."""

HARNESS = (
    *("test/", "tests/", "testing/", "test_*.py", "*_test.py", "conftest.py"),
    *("pytest.ini", ".pytest.ini", "pytest.toml", "tox.ini", "setup.cfg", "pyproject.toml", "noxfile.py"),
    *(".coveragerc", "pytest/", "pluggy/", *SELF_LOADED),
)
"""As in a `.gitignore`: tests, their configuration, and what Python or pytest would load by itself."""


class Harness:
    """Tells tests and their configuration from what they test.

    Args:
        patterns: As in a `.gitignore`.
    """

    def __init__(self, patterns: Iterable[str] = HARNESS) -> None:
        self._spec = GitIgnoreSpec.from_lines(patterns)

    def holds(self, path: str) -> bool:
        """Whether a file is part of it."""
        return self._spec.match_file(path)

    def judged(self, base: Mapping[str, bytes], changed: Mapping[str, bytes | None]) -> dict[str, bytes]:
        """The files of a run: the base's, with what was changed but the harness.

        Args:
            base: Files of the base commit.
            changed: New contents; None for a file that is gone.
        """
        files = dict(base)
        for path, content in changed.items():
            if self.holds(path):
                continue
            if content is None:
                files.pop(path, None)
            else:
                files[path] = content
        return files
