"""Which files a text speaks of: paths, lines of tracebacks, modules, names of functions. Pure.

Source of the forms of places: pytest's `file:line`, CPython's `File "…", line …`.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

MOST_CHARS = 100_000
"""Of a text that is searched for mentions."""
MOST_MENTIONS = 64
MOST_NAMES = 200

_PLACE = re.compile(r"(?<![\w./@+-])([\w./@+-]{1,512}\.\w{1,10})(?:\", line |:|, line )?(\d{1,7})?")
_MODULE = re.compile(r"\b[A-Za-z_]\w{0,99}(?:\.[A-Za-z_]\w{0,99}){0,8}")
_NAME = re.compile(r"\b(?:[a-z]+_\w+|_\w+|[A-Za-z]+[a-z0-9][A-Z]\w*|\w{3,}(?=\())")
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]{1,300})[ \t]+import\b(.*)|import[ \t]+([\w., \t]{1,300}))", re.M
)


@dataclass(slots=True)
class Mention:
    """A file that a text speaks of.

    Attributes:
        path: Of the file.
        lines: Which of its lines, if it says so.
    """

    path: str
    lines: list[int] = field(default_factory=list)


class Mentions:
    """Finds files by what a text calls them.

    Args:
        paths: Of all files.
    """

    def __init__(self, paths: Collection[str]) -> None:
        self._paths = frozenset(paths)
        self._named: Mapping[str, list[str]] = defaultdict(list)
        for path in sorted(paths):
            self._named[path.rsplit("/", 1)[-1]].append(path)

    def of(self, text: str) -> list[Mention]:
        """The files of a text, in its order."""
        found: dict[str, Mention] = {}
        for match in _PLACE.finditer(text[:MOST_CHARS]):
            for path in self._meant(match[1]):
                mention = found.setdefault(path, Mention(path))
                if match[2]:
                    mention.lines.append(int(match[2]))
            if len(found) >= MOST_MENTIONS:
                break
        return list(found.values())

    def modules(self, text: str) -> list[str]:
        """Files that the modules of a text are: `shop.cart` is `src/shop/cart.py`."""
        return _once(
            path for match in _MODULE.finditer(text[:MOST_CHARS]) for path in self._module(match[0])
        )

    def imported(self, source: str) -> list[str]:
        """Files that a Python file imports, as far as they are here."""
        names = []
        for match in _IMPORT.finditer(source[:MOST_CHARS]):
            if match[1]:
                names += [f"{match[1]}.{name}" for name in re.findall(r"\w+", match[2])] + [match[1]]
            else:
                names += [part.split()[0] for part in match[3].split(",") if part.split()]
        return _once(path for name in names for path in self._module(name.strip(".")))

    def _meant(self, said: str) -> list[str]:
        """The file whose path ends like what was said, whatever folder it was run in."""
        parts = [part for part in said.split("/") if part not in ("", ".", "..")]
        for start in range(len(parts)):
            if (path := "/".join(parts[start:])) in self._paths:
                return [path]
        same = self._named.get(parts[-1], []) if parts else []
        ending = "/" + "/".join(parts)
        nearer = [path for path in same if path.endswith(ending)] or same
        return nearer if len(nearer) <= _MOST_ALIKE else []

    def _module(self, name: str) -> list[str]:
        parts = name.split(".")
        for end in range(len(parts), 0, -1):
            inner = "/".join(parts[:end])
            for file in (f"{inner}.py", f"{inner}/__init__.py"):
                same = self._named.get(file.rsplit("/", 1)[-1], [])
                found = [path for path in same if path == file or path.endswith(f"/{file}")]
                if 0 < len(found) <= _MOST_ALIKE:
                    return found
        return []


def names_in(text: str) -> frozenset[str]:
    """Names in a text that look like code's: `with_underscores`, `CamelCase`, `called(`."""
    found = _once(match[0] for match in _NAME.finditer(text[:MOST_CHARS]))
    return frozenset(found[:MOST_NAMES])


_MOST_ALIKE = 3
"""Files that one name may mean; more say nothing."""


def _once(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
