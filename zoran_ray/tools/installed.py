"""Which tools there are on this machine: ours, and those that installed packages bring. Off until allowed.

A package brings a tool by an entry point of the group `zoran.tools`: its name, what makes it, and in
brackets what it reaches, as in `weather = "my_package:Weather [network]"`. So it can be shown without
running any of the package's code; that is first run when the operator allowed the tool.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from zoran_ray.errors import ConfigError
from zoran_ray.settings import ToolSettings
from zoran_ray.tools.calculator import Calculator
from zoran_ray.tools.tool import PERMISSIONS, Tool

GROUP = "zoran.tools"
OURS = "zoran_ray"
SEARCH_FILES = "search_files"
"""Searches the operator's folder; see `zoran_ray.rag.tool`."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A tool that could be used.

    Attributes:
        name: As it is allowed and called.
        permission: What it says that it reaches; empty where it says nothing, and it cannot be used then.
        origin: The package it is from, with its version.
        make: Makes it; runs the package's code. None for one that only a running server can make.
    """

    name: str
    permission: str
    origin: str
    make: Callable[[], Tool] | None


def installed(settings: ToolSettings, found: Sequence[EntryPoint] | None = None) -> list[Installed]:
    """All tools there are, ours first. Of two of one name the first counts: nobody replaces ours.

    Args:
        settings: How ours are set.
        found: Entry points; None for those of this environment.
    """
    others = entry_points(group=GROUP) if found is None else found
    known = {each.name: each for each in reversed([*_ours(settings), *map(_other, others)])}
    return sorted(known.values(), key=lambda each: (each.origin != OURS, each.name))


def allowed_tools(settings: ToolSettings, found: Iterable[Installed]) -> list[Tool]:
    """The tools that are allowed, made. Others are not even imported.

    Raises:
        ConfigError: One cannot be made, or is another than it said.
    """
    return [
        _made(each, each.make)
        for each in found
        if each.make and each.name in settings.allowed and each.permission in settings.permissions
    ]


def _ours(settings: ToolSettings) -> list[Installed]:
    def fetch() -> Tool:
        from zoran_ray.tools.addresses import Guard
        from zoran_ray.tools.fetch import Fetcher
        from zoran_ray.tools.fetch_tool import FetchTool

        return FetchTool(Fetcher(Guard(allow=settings.fetch_addresses)))

    return [
        Installed("calculator", "local", OURS, Calculator),
        Installed("fetch", "network", OURS, fetch),
        Installed("memory", "memory", OURS, None),
        Installed("code", "code", OURS, None),
        Installed(SEARCH_FILES, "local", OURS, None),
    ]


def _other(point: EntryPoint) -> Installed:
    said = point.extras[0] if len(point.extras) == 1 else ""
    permission = said if said in PERMISSIONS else ""
    package = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
    return Installed(point.name, permission, package, lambda: _loaded(point))


def _loaded(point: EntryPoint) -> Tool:
    made: Tool = point.load()()
    return made


def _made(each: Installed, make: Callable[[], Tool]) -> Tool:
    try:
        tool = make()
        name, permission = tool.name, tool.permission
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"The tool {each.name!r} of {each.origin} cannot be made ({type(error).__name__}). Take it out"
            " of tools.allowed, or install a version that works."
        ) from error
    if (name, permission) != (each.name, each.permission):
        raise ConfigError(
            f"The tool {each.name!r} of {each.origin} calls itself {str(name)[:64]!r} and reaches"
            f" {str(permission)[:32]!r}, which is not what its package says. Take it out of tools.allowed."
        )
    return tool
