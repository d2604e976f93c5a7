"""Which files of this machine make a Python that runs on its own: interpreter, libraries, packages, tools.

Nothing is downloaded and nothing of the owner's is taken: no home, no configuration, no environment.
"""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zoran_ray.errors import ConfigError

PREFIX = PurePosixPath("/usr/local")
INTERPRETER = f"python{sys.version_info.major}.{sys.version_info.minor}"
TOOLS = (
    *("sh", "cat", "tar", "timeout", "kill", "env", "id", "ls", "cp", "mv", "rm", "mkdir", "sleep", "true"),
    *(
        "false",
        "grep",
        "sed",
        "head",
        "tail",
        "sort",
        "wc",
        "find",
        "xargs",
        "diff",
        "touch",
        "chmod",
        "pwd",
    ),
)
NEEDED = ("sh", "cat", "tar", "timeout")
"""Without these no job can be run; the others are there where this machine has them."""

_NOT_TAKEN = {
    *("test", "tests", "idlelib", "turtledemo", "tkinter", "ensurepip", "lib2to3", "site-packages"),
    *("__pycache__", "dist-packages", "pydoc_data"),
}
_LDD_S = 60
_LIBRARY = re.compile(r"^\s*(?:(\S+) => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, order=True)
class Taken:
    """One file of the image: where it goes and where it is from."""

    target: PurePosixPath
    source: Path


def gather(packages: Iterable[str]) -> list[Taken]:
    """All files, sorted by target, each target once.

    Args:
        packages: Names of installed distributions; what they require comes with them.

    Raises:
        ConfigError: A package or a needed tool is not installed, or this Python cannot be taken along.
    """
    found = [*_interpreter(), *_standard_library(), *_tools()]
    for name in distributions(packages):
        found += _distribution(name)
    found += _libraries([one.source for one in found])
    by_target = {one.target: one for one in found}
    return sorted(by_target.values())


def distributions(names: Iterable[str]) -> list[str]:
    """The distributions and what they require, by name.

    Raises:
        ConfigError: One is not installed.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    open_names, known = [canonicalize_name(name) for name in names], []
    while open_names:
        name = open_names.pop()
        if name in known:
            continue
        try:
            requires = importlib.metadata.distribution(name).requires or []
        except importlib.metadata.PackageNotFoundError:
            raise ConfigError(
                f"The package {name} is not installed here, so it cannot go into the image. Install it, "
                "then build again."
            ) from None
        known.append(name)
        needed = [Requirement(line) for line in requires]
        open_names += [
            canonicalize_name(one.name)
            for one in needed
            if not one.marker or one.marker.evaluate({"extra": ""})
        ]
    return sorted(known)


def _interpreter() -> Iterator[Taken]:
    real = Path(sys.base_prefix, "bin", INTERPRETER)
    if not real.is_file():
        real = Path(os.path.realpath(sys.executable))
    yield Taken(PREFIX / "bin" / INTERPRETER, real)


def _standard_library() -> Iterator[Taken]:
    """Without tests and graphics; the modules in C too, which some systems keep elsewhere."""
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    target = PREFIX / "lib" / INTERPRETER
    yield from _tree(library, target)
    loaded = importlib.util.find_spec("_ctypes")
    dynload = library / "lib-dynload"
    if not dynload.is_dir() and loaded is not None and loaded.origin:
        yield from _tree(Path(loaded.origin).parent, target / "lib-dynload")


def _tree(folder: Path, target: PurePosixPath) -> Iterator[Taken]:
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = [name for name in folders if name not in _NOT_TAKEN and not name.startswith("config-")]
        for name in names:
            if name.endswith((".py", ".so", ".txt", ".json", ".toml")) and (here / name).is_file():
                yield Taken(target / (here / name).relative_to(folder).as_posix(), here / name)


def _tools() -> Iterator[Taken]:
    for name in TOOLS:
        path = shutil.which(name)
        if path is not None:
            yield Taken(PurePosixPath("/usr/bin", name), Path(os.path.realpath(path)))
        elif name in NEEDED:
            raise ConfigError(f"This machine has no '{name}', which every sandbox needs. Install it.")


def _distribution(name: str) -> Iterator[Taken]:
    """What the package's own record lists below its site-packages."""
    site = PREFIX / "lib" / INTERPRETER / "site-packages"
    for path in importlib.metadata.distribution(name).files or []:
        inside = PurePosixPath(path)
        # What names the machine it was installed on, and what pip alone needs, stays out.
        if ".." in inside.parts or inside.is_absolute() or "__pycache__" in inside.parts:
            continue
        if (
            inside.name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
            or inside.suffix == ".pth"
        ):
            continue
        source = Path(str(path.locate()))
        if source.is_file():
            yield Taken(site / inside, source)


def _libraries(programs: Iterable[Path]) -> Iterator[Taken]:
    """The shared libraries that programs and extension modules need, where the loader looks by itself."""
    binaries = sorted({str(path) for path in programs if _is_elf(path)})
    try:
        told = subprocess.run(
            [shutil.which("ldd") or "ldd", *binaries],
            capture_output=True,
            text=True,
            timeout=_LDD_S,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"`ldd` does not work here ({error}); the sandbox's image needs it.") from None
    found = {Path(path).name: Path(path) for _, path in _LIBRARY.findall(told)}
    home = next((path.parent for name, path in found.items() if name.startswith("libc.")), None)
    if home is None:
        raise ConfigError(
            "This Python is linked statically or for an unknown C library; no image can be made of it."
        )
    for name, path in found.items():
        yield Taken(
            PurePosixPath(path if name.startswith("ld-") else home / name), Path(os.path.realpath(path))
        )


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"
