"""What a repository is called and what it needs, as its own files say. Pure; knows no git and no order.

Read are `pyproject.toml` (PEP 621, dependency groups, Poetry), `setup.cfg`, requirements, `package.json`
and `go.mod`, at the top of the tree. Somebody else wrote them: what is too large or cannot be read says
nothing.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as NoConfig
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 64 * 1024
"""Of one file: what parsers need may grow as the square of it."""
MOST_FILES = 20
MOST_NAMES = 2_000
_MOST_DOTS = 1_000
"""In a line of TOML: a key of n parts takes `tomllib` time as n squared, 22 s if a file is full of it."""

_REQUIREMENTS = re.compile(r"(?:requirements/[^/]+|[^/]*requirements[^/]*)\.txt")
_PYPI_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?=[\[(<>=!~;@,]|$)")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]{1,200})")
_PLACE = re.compile(r"(?:[a-z+]{1,20}://|git@|file:|link:|github:|gitlab:|bitbucket:|\.{0,2}/)(\S{1,1000})")
_GO = re.compile(r"^\s*(?:(module|require|replace)\s+)?([\w.~-]+(?:/[\w.~-]+)+)(?:.*=>\s*(\S+))?", re.M)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a repository says of itself.

    Attributes:
        names: What it is called, each with the kind of name: `pypi:`, `npm:`, `go:`, or `repo:` for the
            last part of an address.
        needs: The same of what it needs.
    """

    names: frozenset[str]
    needs: frozenset[str]


def manifest_of(remote: str, files: Mapping[str, bytes]) -> Manifest:
    """What the files of a repository say.

    One with Python that gives no name is taken to be called as its repository.

    Args:
        remote: Its address.
        files: By path.
    """
    names, needs = {f"repo:{_last(remote)}"}, set[str]()
    for path, content in sorted(files.items()):
        if read := _reader(path):
            said = list(_read(read, content))
            names.update(name for what, name in said if what == "is")
            needs.update(name for what, name in said if what == "needs")
    if not any(name.startswith("pypi:") for name in names) and any(path.endswith(".py") for path in files):
        names.add(f"pypi:{_normal(_last(remote))}")
    return Manifest(frozenset(names), frozenset(needs - names))


def needs_among(manifests: Iterable[Manifest]) -> list[frozenset[int]]:
    """Which of them each needs, by their places."""
    every = list(manifests)
    return [
        frozenset(
            place for place, other in enumerate(every) if other is not each and each.needs & other.names
        )
        for each in every
    ]


_Said = Iterator[tuple[str, str]]
"""`is` or `needs`, and a name."""


def _reader(path: str) -> Callable[[str], _Said] | None:
    return _requirements if _REQUIREMENTS.fullmatch(path) else _READERS.get(path)


def _read(read: Callable[[str], _Said], content: bytes) -> _Said:
    """The first names that a file says; none where it is no such file."""
    if len(content) > MOST_BYTES:
        return
    try:
        found = list(read(content.decode()))
    except (ValueError, TypeError, AttributeError, RecursionError, NoConfig):
        return  # another shape than its kind has, or no text at all
    yield from found[:MOST_NAMES]


def _pyproject(text: str) -> _Said:
    if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        return
    document = tomllib.loads(text)
    project, poetry = document.get("project", {}), document.get("tool", {}).get("poetry", {})
    for name in (project.get("name"), poetry.get("name")):
        if name:
            yield "is", f"pypi:{_normal(name)}"
    lists = [project.get("dependencies", ()), *project.get("optional-dependencies", {}).values()]
    for each in (*lists, *document.get("dependency-groups", {}).values()):
        for requirement in each:
            yield from _requirement(requirement) if isinstance(requirement, str) else ()
    groups = [group.get("dependencies", {}) for group in poetry.get("group", {}).values()]
    for table in (poetry.get("dependencies", {}), poetry.get("dev-dependencies", {}), *groups):
        for name, how in table.items():
            yield "needs", f"pypi:{_normal(name)}"
            yield from _places(how.get("path") or how.get("git")) if isinstance(how, dict) else ()


def _setup_cfg(text: str) -> _Said:
    config = ConfigParser(strict=False, interpolation=None)
    config.read_string(text)
    if name := config.get("metadata", "name", fallback=""):
        yield "is", f"pypi:{_normal(name)}"
    found = [config.get("options", "install_requires", fallback="")]
    if config.has_section("options.extras_require"):
        found += [value for _, value in config.items("options.extras_require")]
    for line in "\n".join(found).splitlines():
        yield from _requirement(line)


def _requirements(text: str) -> _Said:
    """Source: https://pip.pypa.io/en/stable/reference/requirements-file-format/"""
    for line in text.replace("\\\n", " ").splitlines():
        words = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        yield from _requirement(re.sub(r"^(?:-e|--editable)[\s=]*", "", words))


def _requirement(text: str) -> _Said:
    """A name, a place, or both: `lib>=1`, `../lib`, `lib @ git+https://host/lib@v1`. Source: PEP 508."""
    if egg := _EGG.search(text):
        yield "needs", f"pypi:{_normal(egg[1])}"
    if match := _PYPI_NAME.match(text):
        yield "needs", f"pypi:{_normal(match[1])}"
        text = text[match.end() :].lstrip().removeprefix("@").lstrip()
    yield from _places(text)


def _package_json(text: str) -> _Said:
    document: dict[str, Any] = json.loads(text)
    if name := document.get("name"):
        yield "is", f"npm:{name.lower()}"
    kinds = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")
    for name, where in (item for kind in kinds for item in document.get(kind, {}).items()):
        yield "needs", f"npm:{name.lower()}"
        yield from _places(where)


def _go_mod(text: str) -> _Said:
    """Source: https://go.dev/ref/mod#go-mod-file"""
    for match in _GO.finditer(re.sub(r"//.*", "", text)):
        yield "is" if match[1] == "module" else "needs", f"go:{match[2]}"
        yield from _places(match[3])


_READERS: Mapping[str, Callable[[str], _Said]] = {
    "pyproject.toml": _pyproject,
    "setup.cfg": _setup_cfg,
    "package.json": _package_json,
    "go.mod": _go_mod,
}


def _places(where: Any) -> _Said:
    """The repository that an address or a folder is, if the text is one."""
    if isinstance(where, str) and (match := _PLACE.match(where)) and (name := _last(match[1])):
        yield "needs", f"repo:{name}"


def _last(address: str) -> str:
    """The last part of an address, without what says which version of it."""
    path = re.split(r"[#?;\s]", address, maxsplit=1)[0].rstrip("/")
    return path.rsplit("/", 1)[-1].partition("@")[0].removesuffix(".git").lower()


def _normal(name: str) -> str:
    """Source: PEP 503, "Normalized Names"."""
    return re.sub(r"[-_.]+", "-", name).strip().lower()
