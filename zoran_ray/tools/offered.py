"""The toolbox that the settings allow: ours, those of packages, and those of MCP servers."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from zoran_ray.errors import ConfigError
from zoran_ray.settings import McpServerSettings, ToolSettings
from zoran_ray.tools.installed import allowed_tools, installed
from zoran_ray.tools.tool import Tool
from zoran_ray.tools.toolbox import Audit, Toolbox

if TYPE_CHECKING:
    from zoran_ray.tools.mcp_connection import Transport


@asynccontextmanager
async def offered(
    settings: ToolSettings, environ: Mapping[str, str], audit: Audit = lambda call: None
) -> AsyncIterator[Toolbox]:
    """The toolbox; what it started ends with it.

    Only MCP servers of which a tool is allowed are started, and only where `code` is permitted.

    Args:
        settings: What is allowed.
        environ: Where the variables are that MCP servers get.
        audit: Told of each call.

    Raises:
        ConfigError: A tool that is allowed is not there, or not what it said.
        ZoranError: An MCP server does not start.
    """
    tools: list[Tool] = allowed_tools(settings, installed(settings))
    async with AsyncExitStack() as stack:
        for name, each in settings.mcp.items():
            if "code" in settings.permissions and any(
                tool.startswith(f"{name}_") for tool in settings.allowed
            ):
                from zoran_ray.tools.mcp_client import McpServer  # the SDK takes a second to import

                server = McpServer(name, transport(each, environ))
                stack.push_async_callback(server.close)
                tools += [tool for tool in await server.tools() if tool.name in settings.allowed]
        there = {tool.name for tool in tools}
        usable = [name for name in settings.allowed if name in there]
        yield Toolbox(tools, usable, settings.permissions, audit=audit)


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
