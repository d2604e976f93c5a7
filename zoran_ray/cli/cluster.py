"""`zoran cluster`: files for Compose, Helm and `ray up` from one profile; checks of them; nodes."""

import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from zoran_ray.cli.node import environment, head, join
from zoran_ray.cli.options import AsJson
from zoran_ray.cli.output import print_json
from zoran_ray.errors import ConfigError

if TYPE_CHECKING:
    from zoran_ray.cluster_config import ClusterProfile

app = typer.Typer(help="From a laptop to a cluster: render, check, join.", no_args_is_help=True)
app.command("join")(join)
app.command("head")(head)
app.command("environment")(environment)

Profile = Annotated[Path, typer.Argument(help="One file as in configs/profiles.")]


@app.command()
def render(
    profile: Profile,
    to: Annotated[Literal["compose", "helm", "ray"], typer.Option("--to", help="Who is to read it.")],
    secrets: Annotated[
        str, typer.Option("--secrets", metavar="FOLDER", help="Compose: where the secrets' files are.")
    ] = "./secrets",
) -> None:
    """Print `.env` for Compose, values for the chart, or the configuration of `ray up`. Never a secret."""
    from zoran_ray.cluster_config import read_profile, require_coherent

    found = read_profile(profile)
    require_coherent(found, to)
    typer.echo(_rendered(found, to, PurePosixPath(secrets)), nl=False)


@app.command()
def check(
    profile: Annotated[Path | None, typer.Argument(help="One file as in configs/profiles.")] = None,
    to: Annotated[
        Literal["compose", "helm", "ray"] | None, typer.Option("--to", help="What it is meant for.")
    ] = None,
    env: Annotated[Path | None, typer.Option("--env", help="A filled-in .env for Compose.")] = None,
    secrets: Annotated[
        Path | None, typer.Option("--secrets", metavar="FOLDER", help="Folder with the secrets' files.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Whether a profile, a `.env` and the secrets' files will do; says what is wrong and how to mend it."""
    if profile is None and env is None and secrets is None:
        raise typer.BadParameter("Say what to check: a profile, --env or --secrets.")
    problems = [*_profile_problems(profile, to), *_env_problems(env, secrets), *_secret_problems(secrets)]
    if problems:
        raise ConfigError("\n".join(problems))
    if as_json:
        print_json({"ok": True})
    else:
        typer.echo("All is well.")


def _rendered(profile: "ClusterProfile", to: str, secrets: PurePosixPath) -> str:
    from zoran_ray.cluster_config import compose_env, helm_values, ray_up

    if to == "compose":
        return compose_env(profile, secrets)
    return _yaml(helm_values(profile) if to == "helm" else ray_up(profile), profile.name)


def _yaml(data: dict[str, Any], name: str) -> str:
    import yaml

    # Through JSON: no tags, no anchors.
    plain = json.loads(json.dumps(data))
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=1000, explicit_start=True)
    return f"# Rendered from the profile '{name}'.\n{text}"


def _profile_problems(path: Path | None, to: Literal["compose", "helm", "ray"] | None) -> list[str]:
    from zoran_ray.cluster_config import contradictions, read_profile

    return [] if path is None else [f"{path}: {each}" for each in contradictions(read_profile(path), to)]


def _env_problems(path: Path | None, secrets: Path | None) -> list[str]:
    from zoran_ray.cluster_config import env_problems, missing_secrets

    if path is None:
        return []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. Copy .env.example and fill it in.") from None
    missing = missing_secrets(text, secrets) if secrets is not None and secrets.is_dir() else ()
    return [f"{path}: {each}" for each in (*env_problems(text), *missing)]


def _secret_problems(folder: Path | None) -> list[str]:
    from zoran_ray.cluster_config import secret_problems

    return [] if folder is None else list(secret_problems(folder))
