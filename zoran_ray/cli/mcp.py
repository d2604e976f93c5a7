"""`zoran mcp`: our tools for programs that speak the Model Context Protocol."""

import asyncio
import os
from typing import TYPE_CHECKING

import typer

from zoran_ray.cli.options import ConfigFile, settings

if TYPE_CHECKING:
    from zoran_ray.settings import ToolSettings

app = typer.Typer(help="Our tools for others, by the Model Context Protocol.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Our tools for others, by the Model Context Protocol."""


@app.command()
def serve(config: ConfigFile = None) -> None:
    """Serve the allowed tools over stdin and stdout, until stdin ends. See `zoran tools list`."""
    chosen = settings(config=config).tools
    asyncio.run(_serve(chosen))


async def _serve(chosen: "ToolSettings") -> None:
    from zoran_ray.tools.mcp_server import serve_stdio
    from zoran_ray.tools.offered import offered

    async with offered(chosen, os.environ) as toolbox:
        await serve_stdio(toolbox)
