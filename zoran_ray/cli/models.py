"""`zoran models`: what is served, and loading and unloading while the server runs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoran_ray.cli.options import AsJson, ConfigFile, EngineArgs, StateDir, configured, settings
from zoran_ray.cli.output import Progress, print_json, print_table
from zoran_ray.cli.server import ask_status
from zoran_ray.errors import Unreachable

if TYPE_CHECKING:
    from zoran_ray.settings import ModelSpec

app = typer.Typer(help="List, load and unload models.")

Timeout = Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait for it.")]


@app.callback(invoke_without_command=True)
def models(
    ctx: typer.Context, state_dir: StateDir = None, config: ConfigFile = None, as_json: AsJson = False
) -> None:
    """List, load and unload models."""
    if ctx.invoked_subcommand is None:
        list_(state_dir, config, as_json)


@app.command("list")
def list_(state_dir: StateDir = None, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """The models of the running server, or those it would serve."""
    try:
        rows = ask_status(settings(config=config, state_dir=state_dir).state_dir).get("models", [])
    except Unreachable:
        rows = [_configured_row(spec) for spec in configured(config=config, state_dir=state_dir).models]
    rows = [row | {"description": row.get("description") or _description(row)} for row in rows]
    if as_json:
        print_json({"models": rows})
        return
    print_table(
        ("MODEL", "STATE", "REPLICAS", "SOURCE", "DESCRIPTION"),
        [
            [str(row.get(key, "")) for key in ("name", "state", "replicas", "source", "description")]
            for row in rows
        ],
    )


@app.command()
def load(
    model: Annotated[str, typer.Argument(help="Name of a configured model, folder, hub id, or `pocket`.")],
    engine_arg: EngineArgs = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    timeout_s: Timeout = 900.0,
    as_json: AsJson = False,
) -> None:
    """Load one more model into the running server."""
    from zoran_ray.config import home_dir, parse_engine_args, resolve_source
    from zoran_ray.control import Control

    engine_args = parse_engine_args(engine_arg or ())
    # The server's working directory is another. A bare word is a name there, whatever lies here.
    looks_like_path = "/" in model or model.startswith((".", "~"))
    source = resolve_source(model, Path.cwd(), home_dir(os.environ)) if looks_like_path else model
    folder = settings(config=config, state_dir=state_dir).state_dir
    result = Control(folder).call("load", timeout_s, Progress(), model=source, engine_args=engine_args)
    _tell_done("Loaded", result, model, as_json)


@app.command()
def unload(
    model: Annotated[str, typer.Argument(help="Name of a served model.")],
    state_dir: StateDir = None,
    config: ConfigFile = None,
    timeout_s: Timeout = 330.0,
    as_json: AsJson = False,
) -> None:
    """Take a model out of the running server; running requests are finished first."""
    from zoran_ray.control import Control

    folder = settings(config=config, state_dir=state_dir).state_dir
    result = Control(folder).call("unload", timeout_s, Progress(), model=model)
    _tell_done("Unloaded", result, model, as_json)


def _tell_done(done: str, result: dict[str, Any], model: str, as_json: bool) -> None:
    if as_json:
        print_json(result)
    else:
        typer.echo(f"{done} {result.get('model', model)}.")


def _configured_row(spec: "ModelSpec") -> dict[str, Any]:
    return {
        "name": spec.public_name,
        "source": spec.source,
        "state": "not running",
        "replicas": 0,
        "description": spec.description,
    }


def _description(row: dict[str, Any]) -> str:
    """What the embedded model is, from its card; nothing is known of others."""
    from zoran_ray.config import EMBEDDED

    if row.get("source") != EMBEDDED:
        return ""
    from zoran_ray.pocket import card

    known = card()
    accuracy = ", ".join(f"{task} {100 * share:.2f} %" for task, share in known.accuracy.items())
    return (
        f"Made by this project, {known.parameters / 1e6:.2f} M parameters. {known.knows} "
        f"Held-out accuracy: {accuracy}. A real model instead: zoran serve --model Qwen/Qwen3-0.6B"
    )
