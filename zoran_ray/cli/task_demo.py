"""`zoran task demo`: a sample repository with a bug, and a scripted server that stands in for a model."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from zoran_ray.cli.options import AsJson
from zoran_ray.cli.output import print_json

PORT = 8099


def demo(
    folder: Annotated[Path, typer.Argument(help="A new folder for the sample.")],
    serve_script: Annotated[
        bool,
        typer.Option(
            "--serve-script", help="Then serve a scripted model, which is no model, until Ctrl-C."
        ),
    ] = False,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Of the scripted model.")] = PORT,
    as_json: AsJson = False,
) -> None:
    """Make a sample repository with one bug in it, and say how to go on.

    With --serve-script, the models file for `zoran serve` is printed on stdout: keep it in a file.
    """
    from zoran_ray.autopilot.demo import DEMO_MESSAGE, DEMO_MODEL, demo_repository
    from zoran_ray.autopilot.scripted_model import PREFIX

    place = folder.expanduser().resolve()
    if not (serve_script and (place / ".git").is_dir()):
        demo_repository(place)
    if serve_script:
        _serve(place, port, as_json)
        return
    steps = (
        f"zoran task demo {place} --serve-script --port {port} > models.yaml   # in a terminal of its own",
        "zoran serve --models-file models.yaml   # in another one",
        f'zoran task start --watch --model {PREFIX}{DEMO_MODEL} --repo {place} "{DEMO_MESSAGE}"',
    )
    if as_json:
        print_json({"folder": str(place), "message": DEMO_MESSAGE, "commands": list(steps)})
        return
    typer.echo(f"The sample is in {place}. To go on without a model:")
    for step in steps:
        typer.echo(f"  {step}")
    typer.echo("With a running server the last one is enough: give `--model` the name of a model of yours.")


def _serve(place: Path, port: int, as_json: bool) -> None:
    from zoran_ray.autopilot.demo import DEMO_MESSAGE, DEMO_MODEL, demo_script
    from zoran_ray.autopilot.scripted_model import LABEL, PREFIX, ScriptedServer

    async def serve() -> None:
        async with ScriptedServer(demo_script, [DEMO_MODEL], port) as base_url:
            name = f"{PREFIX}{DEMO_MODEL}"
            text = models_file(name, base_url)
            if as_json:
                print_json({"base_url": base_url, "model": name, "models_file": text, "is_a_model": False})
            else:
                typer.echo(text, nl=False)
            typer.echo(f"{name} at {base_url} ({LABEL}). Ctrl-C ends it.", err=True)
            start = f'zoran task start --watch --model {name} --repo {place} "{DEMO_MESSAGE}"'
            typer.echo(f"With the lines on stdout as models file of `zoran serve`:\n  {start}", err=True)
            await _asked_to_end()

    asyncio.run(serve())


async def _asked_to_end() -> None:
    """Returns with Ctrl-C, also where a shell started us in the background and has us ignore it."""
    ends = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, ends.set)
    await ends.wait()


def models_file(name: str, base_url: str) -> str:
    """A models file with the scripted model alone."""
    return f"""\
# No model: its answers are written down, for the sample of `zoran task demo`.
arms:
  - name: {name}
    provider: openai_compatible
    upstream: {name}
    base_url: {base_url}
    context_tokens: 131072
    data_goes: local
    usd_per_million_input: 0
    usd_per_million_output: 0
"""
