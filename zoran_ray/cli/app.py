"""All commands put together."""

from typing import Annotated

import typer

from zoran_ray import __version__
from zoran_ray.cli import (
    agents,
    batch,
    chat,
    cluster,
    config,
    doctor,
    journal,
    keys,
    mcp,
    memory,
    models,
    pii,
    policy,
    rag,
    route,
    sandbox,
    serve,
    server,
    task,
    tools,
    traces,
    z5,
    zgs,
)
from zoran_ray.cli.exits import Commands

app = typer.Typer(
    name="zoran",
    cls=Commands,
    help="Serve language models behind one OpenAI-compatible endpoint.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"zoran {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of every error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Serve language models behind one OpenAI-compatible endpoint."""


app.command("serve")(serve.serve)
app.command("stop")(server.stop)
app.command("status")(server.status)
app.command("doctor")(doctor.doctor)
app.add_typer(models.app, name="models")
app.command("chat")(chat.chat)
app.add_typer(batch.app, name="batch")
app.add_typer(route.app, name="route")
app.add_typer(keys.app, name="keys")
app.add_typer(config.app, name="config")
app.add_typer(memory.app, name="memory")
app.add_typer(rag.app, name="rag")
app.add_typer(agents.app, name="agents")
app.add_typer(tools.app, name="tools")
app.add_typer(mcp.app, name="mcp")
app.add_typer(pii.app, name="pii")
app.add_typer(policy.app, name="policy")
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(task.app, name="task")
app.add_typer(traces.app, name="traces")
app.add_typer(z5.app, name="z5")
app.add_typer(cluster.app, name="cluster")
app.add_typer(zgs.app, name="zgs")
app.add_typer(journal.app, name="journal")
