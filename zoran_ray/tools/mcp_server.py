"""Our tools for others: an MCP server over stdin and stdout.

Whoever starts it sees and uses what the toolbox allows, and nothing else.
"""

import time
from typing import Any

from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool

from zoran_ray.tools.toolbox import Toolbox

CALL_S = 300.0
"""Longest call, where a tool has no shorter time of its own, in seconds."""


def mcp_server(toolbox: Toolbox) -> Server[Any]:
    """A server that offers the tools of a toolbox."""

    async def listed(context: Any, params: Any) -> ListToolsResult:
        tools = [
            Tool(name=each.name, description=each.description, input_schema=dict(each.parameters))
            for each in toolbox.offers
        ]
        return ListToolsResult(tools=tools)

    async def called(context: Any, params: CallToolRequestParams) -> CallToolResult:
        seen = await toolbox.call(params.name, params.arguments or {}, deadline=time.monotonic() + CALL_S)
        text = seen.text + ("\n[cut]" if seen.truncated else "")
        return CallToolResult(content=[TextContent(type="text", text=text)], is_error=not seen.ok)

    return Server("zoran", version="0.1.0", on_list_tools=listed, on_call_tool=called)


async def serve_stdio(toolbox: Toolbox) -> None:
    """Serves until stdin ends."""
    server = mcp_server(toolbox)
    async with stdio_server() as (inbox, outbox):
        await server.run(inbox, outbox, server.create_initialization_options())
