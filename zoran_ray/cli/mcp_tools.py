"""What `zoran mcp serve` can offer: it has no server behind it, so some tools are made here or left out."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from zoran_ray.errors import ConfigError, Unavailable, ZoranError
from zoran_ray.settings import Settings
from zoran_ray.tools.offered import OF_SERVERS

if TYPE_CHECKING:
    from zoran_ray.memory.embedder import Embedder, EmbedderId
    from zoran_ray.tools.tool import Tool

Why = Mapping[str, str]
"""Why a tool cannot be had, by its name."""


def made_here(settings: Settings) -> "tuple[list[Tool], Why]":
    """Of the allowed tools that packages cannot bring: those that work here, and why the others do not."""
    makers: dict[str, Callable[[Settings], Tool]] = {
        "code": _code,
        "memory": _memory,
        "search_files": _search_files,
    }
    made, why = [], {}
    for name in settings.tools.allowed:
        try:
            if name in makers:
                made.append(makers[name](settings))
        except ZoranError as error:
            why[name] = error.message
    return made, why


def left_out(
    settings: Settings, offered: Collection[str], why: Why, granted: Callable[[str, str], bool]
) -> Iterator[tuple[str, str]]:
    """Each tool that is allowed and not offered, and the reason.

    Args:
        offered: Names of those that are.
        why: See `made_here`.
        granted: What the policy grants; see `ToolGate`.
    """
    from zoran_ray.tools.installed import installed

    reaches = {each.name: each.permission for each in installed(settings.tools)}
    for name in settings.tools.allowed:
        of_server = any(name.startswith(f"{server}_") for server in settings.tools.mcp)
        permission = reaches.get(name, OF_SERVERS if of_server else "")
        if name in offered:
            continue
        if not permission:
            yield name, "No installed package has such a tool, or says what it reaches: zoran tools list."
        elif permission not in settings.tools.permissions:
            yield name, f"It reaches {permission!r}, which tools.permissions does not have."
        elif not granted(name, permission):
            yield name, f"The policy does not grant it: zoran policy explain tool {name} --who mcp."
        else:
            yield name, why.get(name, "Its MCP server has no such tool.")


def _code(settings: Settings) -> "Tool":
    from zoran_ray.sandbox import Sandbox, backend_of
    from zoran_ray.tools.code_tool import CodeTool

    return CodeTool(Sandbox(backend_of(settings.sandbox, settings.state_dir)))


def _memory(settings: Settings) -> "Tool":
    raise Unavailable(
        "It works in a running server alone, where each request says whose memory it is"
        " (`zoran.tools.memory`)."
    )


def _search_files(settings: Settings) -> "Tool":
    from zoran_ray.agents.folder_search import FolderSearch
    from zoran_ray.memory.embedder import HashedNgrams
    from zoran_ray.rag import SearchFiles, embedder_of, index_folder

    folder = settings.agents.folder
    if folder is None:
        raise ConfigError(
            "There is no folder to search: set `agents.folder`, and index it (zoran rag index)."
        )

    def embedder(known: "EmbedderId | None") -> "Embedder":
        return HashedNgrams(settings.memory.dimension) if known is None else embedder_of(known, _no_server)

    return SearchFiles(FolderSearch(index_folder(settings.state_dir, folder), folder, embedder))


def _no_server(method: str, path: str, body: Mapping[str, Any]) -> Any:
    raise ConfigError(
        "The index was made by a server's embedding model. Make it anew: zoran rag index --embedder hashed."
    )
