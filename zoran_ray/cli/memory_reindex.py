"""`zoran memory reindex`: makes all vectors of the memory anew with the configured embedder."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoran_ray.cli.options import AsJson, ConfigFile, StateDir, settings
from zoran_ray.cli.output import Progress, print_json, printable
from zoran_ray.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoran_ray.settings import Settings

TIMEOUT_S = 6 * 3600.0
"""A million texts through a model on a laptop take hours."""

_COUNT = re.compile(r"(\d+)/(\d+)")


def reindex(
    again: Annotated[
        bool,
        typer.Option("--again", help="Also where the vectors are of the configured embedder already."),
    ] = False,
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds to wait for a running server.")
    ] = TIMEOUT_S,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Make all vectors anew with the embedder that is configured, in the running server or without one.

    A server goes on with it when this command is interrupted; the same command again shows how far it is.
    """
    from zoran_ray.control import Control

    found = settings(config=config, state_dir=state_dir)
    with bar() as progress:
        try:
            result = Control(found.state_dir).call("memory_reindex", timeout_s, progress, again=again)
        except Unreachable:
            result = _without_server(found, progress, again)
    if as_json:
        print_json(result)
    else:
        typer.echo(_told(result))


def _without_server(settings: "Settings", progress: "Callable[[str, str], None]", again: bool) -> Any:
    """Only this machine's shards, and only what needs no model."""
    from zoran_ray.memory.embedder import HASHED, HashedNgrams
    from zoran_ray.memory.reindex_folders import reindex_folders
    from zoran_ray.memory.rules import rules_of

    if settings.memory.embedder != HASHED:
        raise Unreachable(
            f"No server runs with the state directory {settings.state_dir}, and the vectors are to be made"
            f" by the model '{settings.memory.embedder}'. Start it with `zoran serve`, then run this again."
        )
    embedder = HashedNgrams(settings.memory.dimension)
    done = reindex_folders(
        settings.state_dir,
        embedder,
        rules_of(settings.memory_file),
        lambda name, done, total: progress(name, f"{done}/{total}"),
        again=again,
    )
    return {
        "embedder": embedder.id,
        "dimension": embedder.dimension,
        "shards": done.shards,
        "skipped": done.skipped,
        "records": done.records,
    }


def _told(result: dict[str, Any]) -> str:
    name = printable(f"{result['embedder']} ({result['dimension']} numbers)")
    if not result["shards"]:
        return f"Nothing to do: all vectors are of {name}, or there are none yet. --again makes them anew."
    return f"{result['records']} records in {result['shards']} shards now have vectors of {name}."


@contextmanager
def bar() -> "Iterator[Callable[[str, str], None]]":
    """Shows steps; those whose detail is `done/total` as a bar. Silent where nobody watches."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (*Bars.get_default_columns()[:3], MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, detail: str) -> None:
            count = _COUNT.fullmatch(detail)
            if count is None:
                bars.console.print(
                    printable(f"{stage}: {detail}"), style="dim", markup=False, highlight=False
                )
                return
            if stage not in tasks:
                tasks[stage] = bars.add_task(printable(stage), total=None)
            bars.update(tasks[stage], completed=int(count[1]), total=int(count[2]))

        yield show
