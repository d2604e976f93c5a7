"""Options that several commands share, and the settings they lead to."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from zoran_ray.config import Loaded
    from zoran_ray.settings import Settings

StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", help="Folder of keys and everything else durable; one server each."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="Configuration to read instead of ./zoran.yaml and the user's own."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
EngineArgs = Annotated[
    list[str] | None,
    typer.Option(
        "--engine-arg", metavar="KEY=VALUE", help="Argument for vLLM, by its own name. Repeatable."
    ),
]
Direct = Annotated[
    bool,
    typer.Option("--direct", help="Without a server: ask providers from here, with the keys found here."),
]
ModelsFilePath = Annotated[
    Path | None,
    typer.Option("--models-file", help="With --direct: models file instead of the configured one."),
]


def only_direct(direct: bool, models_file: Path | None) -> None:
    """Refuse a models file where a server has its own."""
    if models_file is not None and not direct:
        raise typer.BadParameter("--models-file needs --direct: a server has read its own.")


def configured(**flags: Any) -> "Loaded":
    """Settings and models of this invocation; `server__port` stands for the field `server.port`."""
    from zoran_ray.config import load

    return load(_dotted(flags), os.environ, Path.cwd())


def settings(**flags: Any) -> "Settings":
    """Settings alone, for commands that ask a running server."""
    from zoran_ray.config import load_settings

    return load_settings(_dotted(flags), os.environ, Path.cwd())[0]


def _dotted(flags: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("__", "."): value for name, value in flags.items()}
