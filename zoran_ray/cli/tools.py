"""`zoran tools`: which tools there are, what they reach, and which may be used."""

import os
from pathlib import Path
from typing import Annotated

import typer

from zoran_ray.cli.options import AsJson, ConfigFile, settings
from zoran_ray.cli.output import print_json, print_table
from zoran_ray.errors import ConfigError, RecordNotFound

app = typer.Typer(help="Tools that models may use.", no_args_is_help=True)


@app.command("list")
def list_tools(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """All tools that are installed, what each says it reaches, and whether it is allowed."""
    from zoran_ray.tools.installed import installed

    chosen = settings(config=config).tools
    found = [
        {
            "name": each.name,
            "permission": each.permission,
            "origin": each.origin,
            "allowed": each.name in chosen.allowed and each.permission in chosen.permissions,
            "server_only": each.make is None,
        }
        for each in installed(chosen)
    ]
    if as_json:
        print_json(found)
        return
    rows = [
        [
            str(each["name"]),
            str(each["permission"] or "does not say"),
            str(each["origin"]),
            ("yes" if each["allowed"] else "no") + (", in a server" if each["server_only"] else ""),
        ]
        for each in found
    ]
    print_table(("NAME", "REACHES", "FROM", "ALLOWED"), rows)


@app.command()
def allow(
    name: Annotated[str, typer.Argument(help="Of the tool; see `zoran tools list`.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigFile = None,
) -> None:
    """Allow a tool, after showing what it reaches. It is written to the configuration."""
    from zoran_ray.tools.installed import installed

    chosen = settings(config=config).tools
    tool = next((each for each in installed(chosen) if each.name == name), None)
    if tool is None:
        raise RecordNotFound(f"No tool named {name[:64]!r} is installed; see zoran tools list.")
    if not tool.permission:
        raise ConfigError(f"{tool.origin} does not say what {name!r} reaches, so it cannot be allowed.")
    typer.echo(f"{name}, from {tool.origin}, reaches: {tool.permission}")
    if not yes:
        typer.confirm("Allow it?", abort=True)
    names = dict.fromkeys([*chosen.allowed, name])
    reached = dict.fromkeys([*chosen.permissions, tool.permission])
    block = f"tools:\n  allowed: [{', '.join(names)}]\n  permissions: [{', '.join(reached)}]\n"
    _write(_file(config), block)


def _file(config: Path | None) -> Path:
    from zoran_ray.config import config_files

    files = config_files(config, os.environ, Path.cwd())
    return next((path for path in files if path.exists()), files[0])


def _write(path: Path, block: str) -> None:
    """Adds the lines where there are none of the kind; what a person wrote is left to the person."""
    from zoran_ray.config.document import read_document

    known = read_document(path).data if path.exists() else None
    if isinstance(known, dict) and "tools" in known:
        raise ConfigError(f"{path} has its own `tools`; make it say:\n{block.rstrip()}")
    text = path.read_text() if path.exists() else ""
    path.write_text(text + ("" if not text or text.endswith("\n") else "\n") + block)
    typer.echo(f"Written to {path}.")
