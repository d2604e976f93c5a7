"""What watches a run of tests from inside: its plugin, as a file of the run."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Watch:
    """The plugin of one run.

    Args:
        name: As pytest's `-p` takes it; no change can have known it.
        limit_s: Longest test, in seconds.
        paths: Files whose lines are noted.
        folders: Where Python is to look for modules, besides the tested tree.
    """

    name: str
    limit_s: float
    paths: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Of its file, at the top of the tree."""
        return f"{self.name}.py"

    @property
    def report(self) -> str:
        """The file that says which lines ran."""
        return f"{self.name}.txt"

    @property
    def text(self) -> bytes:
        """Of its file. It is imported before any file of the tree, so no line runs unseen."""
        traced = f", Trace({self.paths!a}, {self.report!r})" if self.paths else ""
        return (
            f"{_plugin()}\n\nFOLDERS = {self.folders!a}\nPARTS = [Limit({self.limit_s!r}){traced}]\n\n\n"
            "def pytest_load_initial_conftests():\n    look_into(FOLDERS)\n\n\n"
            "def pytest_configure(config):\n    for part in PARTS:\n"
            "        config.pluginmanager.register(part)\n"
        ).encode()


@cache
def _plugin() -> str:
    return Path(__file__).with_name("plugin.py").read_text(encoding="utf-8")
