"""Other repositories that the tested one needs: where their files lie in a run. Knows no git, no sandbox.

They lie in folders whose names nobody knows beforehand, which pytest is told to pass over, and Python looks
there after its own modules and those of the tested tree, and before what is installed. A model may have
written some of them: canary, control and a second run judge them with the change. Only the Python of the
tests looks there, not that of a process which a test starts; for other languages the order of the
repositories is all that follows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from pathspec import GitIgnoreSpec

from zoran_ray.autopilot.testing.harness import SELF_LOADED
from zoran_ray.errors import InvalidRequest

_BEHIND = GitIgnoreSpec.from_lines((*SELF_LOADED, "conftest.py", "/test/", "/tests/"))
_MODULES = (".py", ".pyc", ".so", ".pyd")

Files = Mapping[str, bytes]
"""Contents by path."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """A repository that the tested one needs.

    Attributes:
        files: As the task leaves it.
        base: As it was before, where the task changes it; else None.
    """

    files: Files = field(repr=False)
    base: Files | None = field(default=None, repr=False)

    @property
    def before(self) -> "Dependency":
        """The same without its change."""
        return self if self.base is None else replace(self, files=self.base, base=None)


class Room(Protocol):
    """What the sandbox takes."""

    @property
    def input_files(self) -> int:
        """Number of files."""
        ...

    @property
    def input_bytes(self) -> int:
        """Their contents together."""
        ...


def require_room(trees: Iterable[Files], room: Room) -> None:
    """Raises: InvalidRequest: These trees are too much for the sandbox."""
    sizes = [len(content) for each in trees for content in each.values()]
    if len(sizes) > room.input_files or sum(sizes) > room.input_bytes:
        raise InvalidRequest(
            f"A repository and those of the task that it needs have {len(sizes)} files with {sum(sizes)}"
            f" bytes; the sandbox takes {room.input_files} with {room.input_bytes}. Raise"
            " sandbox.input_files and sandbox.input_bytes in the policy, or give each a task of its own."
        )


def laid(trees: Sequence[Files], own: Iterable[str], names: Sequence[str]) -> tuple[Files, tuple[str, ...]]:
    """Where files lie beside the tested tree, and the folders that Python is to look into.

    Left out are what would be loaded by itself, tests, and modules that could hide one of the tested tree.

    Args:
        trees: Files of each dependency, the most important first.
        own: Paths of the tested tree.
        names: Of a folder for each.
    """
    taken = {name[:end] for path in own for name in _names(path) for end in range(1, len(name) + 1)}
    files, folders = dict[str, bytes](), list[str]()
    for tree, folder in zip(trees, names, strict=True):
        kept = [path for path in tree if not _BEHIND.match_file(path) and taken.isdisjoint(_names(path))]
        if any(path.endswith(".py") for path in kept):
            files |= {f"{folder}/{path}": tree[path] for path in kept}
            folders += [f"{folder}/src"] * any(path.startswith("src/") for path in kept) + [folder]
    return files, tuple(folders)


def _names(path: str) -> list[tuple[str, ...]]:
    """What a file may be imported as: from the top, and from `src`; nothing where it is no module."""
    *folders, file = path.split("/")
    stem = file.partition(".")[0]
    if not file.endswith(_MODULES):
        return []
    name = tuple(folders) if stem == "__init__" else (*folders, stem)
    return [each for each in (name, name[1:] if name[:1] == ("src",) else ()) if each]
