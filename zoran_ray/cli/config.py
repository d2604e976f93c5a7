"""`zoran config`: what the settings are and where each came from."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoran_ray.cli.options import AsJson, ConfigFile, StateDir, configured
from zoran_ray.cli.output import print_json, print_table

if TYPE_CHECKING:
    from zoran_ray.models_file import ModelSpec

app = typer.Typer(help="Show and check the configuration.", no_args_is_help=True)

HIDDEN = "(not shown)"


@app.command()
def show(
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value came from.")] = False,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """All settings, models and arms as they are in force."""
    loaded = configured(config=config, state_dir=state_dir)
    data = loaded.settings.model_dump(mode="json")
    offers: dict[str, Any] = {
        "use": loaded.catalogue.use,
        "models": [_shown(spec) for spec in loaded.models],
        "arms": [arm.model_dump(mode="json") for arm in loaded.arms],
    }
    if as_json:
        origins = {"origins": dict(loaded.origins)} if origin else {}
        print_json({"settings": data, **offers, **origins})
    elif origin:
        rows = [(name, _text(_at(data, name)), place) for name, place in sorted(loaded.origins.items())]
        print_table(("SETTING", "VALUE", "ORIGIN"), rows)
    else:
        import yaml

        typer.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), nl=False)
        typer.echo("# models and arms, as in a models file:")
        text = yaml.safe_dump(offers, sort_keys=False, allow_unicode=True)
        typer.echo("".join(f"# {line}\n" for line in text.splitlines()), nl=False)


@app.command()
def check(state_dir: StateDir = None, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Whether the configuration is right; says what is wrong and where."""
    loaded = configured(config=config, state_dir=state_dir)
    names = [offer.public_name for offer in loaded.catalogue.offers]
    if as_json:
        print_json({"ok": True, "models": names})
    else:
        typer.echo(f"The configuration is right. Models: {', '.join(names)}.")


@app.command()
def path(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Which files are read, strongest first."""
    from zoran_ray.config import config_files

    files = [(str(file), file.exists()) for file in config_files(config, os.environ, Path.cwd())]
    if as_json:
        print_json({"files": [{"path": name, "exists": exists} for name, exists in files]})
    else:
        for name, exists in files:
            typer.echo(name if exists else f"{name} (not there)")


def _shown(spec: "ModelSpec") -> dict[str, Any]:
    """A model without the values of its environment, which may be access tokens."""
    data = spec.model_dump(mode="json")
    return data | {"env": dict.fromkeys(data["env"], HIDDEN)}


def _at(data: dict[str, Any], name: str) -> Any:
    value: Any = data
    for key in name.split("."):
        value = value[key]
    return value


def _text(value: Any) -> str:
    return "" if value is None else str(value)
