"""`zoran mcp`: our tools for programs that speak the Model Context Protocol."""

import asyncio
import os
from typing import TYPE_CHECKING

import typer

from zoran_ray.cli.options import ConfigFile, StateDir, settings
from zoran_ray.cli.output import printable

if TYPE_CHECKING:
    from zoran_ray.settings import Settings
    from zoran_ray.tools.toolbox import ToolCall

app = typer.Typer(help="Our tools for others, by the Model Context Protocol.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Our tools for others, by the Model Context Protocol."""


@app.command()
def serve(state_dir: StateDir = None, config: ConfigFile = None) -> None:
    """Serve the allowed tools over stdin and stdout, until stdin ends. See `zoran tools list`.

    It needs no server, so its calls are in no journal: each is told on stderr, without what was said.
    """
    asyncio.run(_serve(settings(config=config, state_dir=state_dir)))


async def _serve(chosen: "Settings") -> None:
    from zoran_ray.cli.mcp_tools import left_out, made_here
    from zoran_ray.policy import MCP, ToolGate
    from zoran_ray.tools.mcp_server import serve_stdio
    from zoran_ray.tools.offered import offered

    granted = ToolGate(chosen.autopilot.policy_file).grants(MCP)
    more, why = made_here(chosen)
    async with offered(chosen.tools, os.environ, _tell, more=more, may=granted) as toolbox:
        names = [each.name for each in toolbox.offers]
        for name, reason in left_out(chosen, names, why, granted):
            typer.echo(printable(f"Left out: {name}. {reason}"), err=True)
        typer.echo(
            f"Offered: {', '.join(names) or 'none'}. Calls are told here, and in no journal.", err=True
        )
        await serve_stdio(toolbox)


def _tell(call: "ToolCall") -> None:
    """What a journal would hear of a call: nothing that was said."""
    ended = "ok" if call.ok else "failed"
    typer.echo(f"tool.call {call.name} {ended}, {call.took_ms:.0f} ms, {call.result_bytes} bytes", err=True)
