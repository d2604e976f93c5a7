"""The tools that the settings allow: ours, those of packages, and those of MCP servers."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from zoran_ray.errors import ConfigError
from zoran_ray.settings import McpServerSettings, ToolSettings
from zoran_ray.tools.installed import allowed_tools, installed
from zoran_ray.tools.tool import Permission, Tool
from zoran_ray.tools.toolbox import Audit, May, Toolbox

if TYPE_CHECKING:
    from zoran_ray.tools.mcp_client import McpServer
    from zoran_ray.tools.mcp_connection import Transport

OF_SERVERS: Permission = "code"
"""What tools of MCP servers are taken to reach: nobody can check it."""


def all_may(name: str, permission: Permission) -> bool:
    """Every tool that the settings allow may be used."""
    return True


class AllowedTools:
    """All tools of one process. Close it: what it started ends with it.

    An MCP server is started when a tool of it is first wanted. One that does not start is tried again when
    it is wanted again, as often as `mcp_client.Restarts` allows; the other tools go on meanwhile.

    Args:
        settings: What is allowed.
        environ: Where the variables are that MCP servers get.
        more: Tools that only this process can make; allowed like any other.
        audit: Told of each call.

    Raises:
        ConfigError: A tool that is allowed cannot be made, or is not what it said.
    """

    def __init__(
        self,
        settings: ToolSettings,
        environ: Mapping[str, str],
        *,
        more: Iterable[Tool] = (),
        audit: Audit = lambda call: None,
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._audit = audit
        self._tools: list[Tool] = [*allowed_tools(settings, installed(settings)), *more]
        self._waiting = {name: each for name, each in settings.mcp.items() if self._may_run(name)}
        self._servers: dict[str, McpServer] = {}
        self._opening = asyncio.Lock()
        self._box = self._made(self._tools)

    async def toolbox(self, names: Collection[str] | None = None, may: May = all_may) -> Toolbox:
        """The tools that may be used, or of those the ones of these names.

        Raises:
            InvalidRequest: A name is no tool's that may be used.
            ConfigError: An MCP server's settings are wrong.
            ZoranError: An MCP server that one of them is of does not start.
        """
        for server in list(self._waiting):
            wanted = self._settings.allowed if names is None else names
            if any(_is_of(server, name) and may(name, OF_SERVERS) for name in wanted):
                async with self._opening:
                    await self._open(server)
        box = self._box.granted(may)
        return box if names is None else box.only(names)

    async def close(self) -> None:
        """Ends what was started."""
        servers, self._servers = self._servers, {}
        for server in servers.values():
            await server.close()

    async def _open(self, name: str) -> None:
        if name not in self._waiting:
            return  # who came before opened it
        from zoran_ray.tools.mcp_client import McpServer  # the SDK takes a second to import

        if name not in self._servers:
            self._servers[name] = McpServer(
                name, transport(self._waiting[name], self._environ), permission=OF_SERVERS
            )
        tools = [*self._tools, *await self._servers[name].tools()]
        self._box = self._made(tools)
        self._tools = tools
        del self._waiting[name]

    def _made(self, tools: Iterable[Tool]) -> Toolbox:
        tools = [tool for tool in tools if tool.name in self._settings.allowed]
        names = {tool.name for tool in tools}
        return Toolbox(tools, names, self._settings.permissions, audit=self._audit)

    def _may_run(self, server: str) -> bool:
        """Whether a tool of a server is allowed: only then it is started."""
        return OF_SERVERS in self._settings.permissions and any(
            _is_of(server, tool) for tool in self._settings.allowed
        )


def _is_of(server: str, tool: str) -> bool:
    return tool.startswith(f"{server}_")


@asynccontextmanager
async def offered(
    settings: ToolSettings,
    environ: Mapping[str, str],
    audit: Audit = lambda call: None,
    *,
    more: Iterable[Tool] = (),
    may: May = all_may,
) -> AsyncIterator[Toolbox]:
    """The toolbox with all tools, for a program that has nothing else to do.

    Args:
        settings: What is allowed.
        environ: Where the variables are that MCP servers get.
        audit: Told of each call.
        more: Tools that only this process can make; allowed like any other.
        may: What may be used of what is allowed.

    Raises:
        ConfigError: A tool that is allowed cannot be made, or is not what it said.
        ZoranError: An MCP server does not start.
    """
    tools = AllowedTools(settings, environ, more=more, audit=audit)
    try:
        yield await tools.toolbox(may=may)
    finally:
        await tools.close()


def transport(settings: McpServerSettings, environ: Mapping[str, str]) -> "Transport":
    """How to connect to an MCP server. Raises: ConfigError: A variable is not set."""
    if settings.url is None:
        from zoran_ray.tools.mcp_stdio import stdio_transport

        given = {name: _variable(name, environ) for name in settings.variables}
        return partial(stdio_transport, settings.command, given)
    from zoran_ray.tools.mcp_http import http_transport

    name = settings.token_variable
    headers = {"authorization": f"Bearer {_variable(name, environ)}"} if name else {}
    return partial(http_transport, settings.url, headers)


def _variable(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise ConfigError(f"The variable {name} is not set, which an MCP server of the settings needs.")
    return environ[name]
