"""`zoran models`: what is served, and loading and unloading while the server runs."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoran_ray.cli.endpoint import ApiKey, BaseUrl, client
from zoran_ray.cli.model_table import print_models, told_rows, warn_of_refusal
from zoran_ray.cli.options import (
    AsJson,
    ConfigFile,
    Direct,
    EngineArgs,
    ModelsFilePath,
    StateDir,
    configured,
    only_direct,
    settings,
)
from zoran_ray.cli.output import Progress, print_json
from zoran_ray.errors import Unreachable

if TYPE_CHECKING:
    from zoran_ray.config import Loaded
    from zoran_ray.models_file import ModelSpec
    from zoran_ray.offers import ArmSpec

LIST_TIMEOUT_S = 20.0
"""Longer than the server takes to ask all arms."""

app = typer.Typer(help="List, load and unload models.")

Timeout = Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait for it.")]


@app.callback(invoke_without_command=True)
def models(
    ctx: typer.Context,
    direct: Direct = False,
    models_file: ModelsFilePath = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List, load and unload models."""
    if ctx.invoked_subcommand is None:
        list_(direct, models_file, base_url, api_key, state_dir, config, as_json)


@app.command("list")
def list_(
    direct: Direct = False,
    models_file: ModelsFilePath = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """All models, those of others too: whether each can be asked, what it costs, where prompts go."""
    only_direct(direct, models_file)
    file: dict[str, Any] = {}
    if direct:
        rows = _asked_from_here(configured(config=config, state_dir=state_dir, models_file=models_file))
    elif base_url is not None:
        with client(base_url, api_key, state_dir, config, LIST_TIMEOUT_S) as server:
            rows = told_rows(server.ask("GET", "models"))
    else:
        rows, file = _of_own_server(state_dir, config)
    rows = [row | {"description": row.get("description") or _description(row)} for row in rows]
    if as_json:
        print_json({"models": rows, **({"models_file": file} if file else {})})
    else:
        print_models(rows)
    warn_of_refusal(file)


def _asked_from_here(loaded: "Loaded") -> list[dict[str, Any]]:
    """What the files say; arms are asked, all at once."""
    from zoran_ray.engines.reachable import arm_rows

    arms = asyncio.run(arm_rows(loaded.arms, os.environ))
    return [*_configured_rows(loaded.models, "needs `zoran serve`"), *arms]


def _of_own_server(
    state_dir: Path | None, config: Path | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What the server of the state directory says, or else what it would serve; then its models file."""
    from zoran_ray.control import Control

    folder = settings(config=config, state_dir=state_dir).state_dir
    try:
        found = Control(folder).call("models", LIST_TIMEOUT_S)
    except Unreachable:
        offers = configured(config=config, state_dir=state_dir).catalogue.offers
        return _configured_rows(offers, "not running"), {}
    return [*found.get("models", ()), *found.get("arms", ())], found.get("models_file") or {}


def _configured_rows(offers: "Sequence[ModelSpec | ArmSpec]", state: str) -> list[dict[str, Any]]:
    from zoran_ray.engines.offering import offer_row

    return [offer_row(offer) | {"name": offer.public_name, "state": state} for offer in offers]


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
