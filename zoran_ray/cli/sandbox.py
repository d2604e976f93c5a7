"""`zoran sandbox`: the image that code is run in, and whether it holds. Needs no running server."""

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from zoran_ray.cli.exits import FAILURE
from zoran_ray.cli.options import AsJson, ConfigFile, StateDir, settings
from zoran_ray.cli.output import Progress, print_json, print_table, printable
from zoran_ray.errors import ConfigError

app = typer.Typer(help="Where code is run that nobody trusts.", no_args_is_help=True)

_ENDED = 124
"""Exit status for a job that was ended, as of timeout(1)."""


@app.command()
def build(
    package: Annotated[
        list[str] | None,
        typer.Option("--package", help="Installed package to put in besides pytest. Repeatable."),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep", metavar="FILE", help="Leave the archive here, for `docker load` on other nodes."
        ),
    ] = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Make the Python image from this machine's own files. Needs no registry and no network."""
    from zoran_ray.sandbox.image import PACKAGES
    from zoran_ray.sandbox.image import build as build_image

    given = settings(config=config, state_dir=state_dir)
    Progress()("Building", "Python, its library and packages of this machine")
    image = build_image(given.state_dir, given.sandbox.docker_host, (*PACKAGES, *(package or ())), keep)
    if as_json:
        print_json(asdict(image))
        return
    typer.echo(f"Image:    {image.digest}")
    typer.echo(f"Python:   {image.python}")
    typer.echo("Packages: " + ", ".join(f"{name} {number}" for name, number in image.packages.items()))


@app.command()
def check(state_dir: StateDir = None, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Run one job that tries what it must not be able to do."""
    from zoran_ray.sandbox import backend_of
    from zoran_ray.sandbox.inspection import inspect

    given = settings(config=config, state_dir=state_dir)
    found = inspect(backend_of(given.sandbox, given.state_dir))
    if as_json:
        print_json(asdict(found) | {"is_good": found.is_good})
    else:
        typer.echo(f"Docker:  {printable(found.daemon)}, runtime {printable(found.runtime)}")
        typer.echo(f"Image:   {found.image}")
        if not found.swap_is_bounded:
            typer.echo("Swap is not bounded: the kernel does not count it.", err=True)
        print_table(
            ("BOUND", "HOLDS"), [(name, "yes" if held else "NO") for name, held in found.held.items()]
        )
    raise typer.Exit(0 if found.is_good else FAILURE)


@app.command()
def run(
    argv: Annotated[list[str], typer.Argument(help="Program and arguments, after `--`.")],
    file: Annotated[
        list[Path] | None,
        typer.Option("--file", help="File of this machine to give it, under its last name. Repeatable."),
    ] = None,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0.1, max=3600, help="In seconds.")] = 60.0,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Run one program in a container of its own. Exit status: the program's; 124 where it was ended."""
    from zoran_ray.sandbox import Job, JobRequest, Limits, backend_of

    given = settings(config=config, state_dir=state_dir)
    request = JobRequest(_contents(file or []), tuple(argv), timeout_s, Limits(timeout_s=timeout_s))
    result = Job(backend_of(given.sandbox, given.state_dir), request).run()
    if as_json:
        texts = {name: getattr(result, name).decode(errors="replace") for name in ("stdout", "stderr")}
        told = {name: getattr(result, name) for name in ("ending", "exit_status", "wall_s", "left_out")}
        print_json(
            told | texts | {"files_out": {name: len(data) for name, data in result.files_out.items()}}
        )
    else:
        sys.stdout.buffer.write(result.stdout)
        sys.stdout.buffer.flush()
        sys.stderr.buffer.write(result.stderr)
        sys.stderr.buffer.flush()
        if result.ending != "exited":
            typer.echo(f"The program was ended: {result.ending}.", err=True)
    raise typer.Exit(_ENDED if result.exit_status is None else result.exit_status)


@app.command()
def reap(
    running: Annotated[
        bool, typer.Option("--running", help="Also those that still run: their jobs end with them.")
    ] = False,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Remove containers that this deployment left behind; never anybody else's."""
    from zoran_ray.sandbox.labels import deployment_of
    from zoran_ray.sandbox.reaper import reap as reap_orphans

    given = settings(config=config, state_dir=state_dir)
    deployment = deployment_of(given.state_dir)
    jobs = reap_orphans(given.sandbox.docker_host, deployment, time.time(), running=running)
    if as_json:
        print_json({"removed": list(jobs)})
    else:
        typer.echo(f"Removed {len(jobs)} container{'' if len(jobs) == 1 else 's'}.")


def _contents(paths: list[Path]) -> dict[str, bytes]:
    try:
        return {path.name: path.read_bytes() for path in paths}
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}.") from error
