"""`zoran batch`: answers a file of requests, many at a time, into another file."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoran_ray.cli.endpoint import ApiKey, BaseUrl, client, trusted, where
from zoran_ray.cli.exits import FAILURE
from zoran_ray.cli.options import AsJson, ConfigFile, StateDir
from zoran_ray.cli.output import print_json, printable, styled
from zoran_ray.errors import RouteNotFound

if TYPE_CHECKING:
    import ssl

    from rich.console import Console

    from zoran_ray.batch.output_file import Counts, OutputFile

app = typer.Typer(help="Many requests from a file, answered into a file.", no_args_is_help=True)

_TOLD_FAULTS = 10
_REFRESH_S = 0.25


@app.callback()
def root() -> None:
    """Many requests from a file, answered into a file."""


@app.command()
def run(
    source: Annotated[
        Path, typer.Argument(metavar="IN.jsonl", help="Requests in the format of OpenAI's Batch API.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT.jsonl", help="Gets the answers as they come.")
    ],
    model: Annotated[
        str | None, typer.Option("-m", "--model", help="Who answers, instead of the lines' own `model`.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=4096, help="Requests at a time.")
    ] = 256,
    start: Annotated[
        list[str] | None,
        typer.Option(
            "--start",
            metavar="MODEL",
            help="Start a server for this run, with this model as for `zoran serve --model`. Repeatable.",
        ),
    ] = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=1, help="Longest that one answer may take, in seconds.")
    ] = 600.0,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Answer all requests of IN.jsonl into OUT.jsonl, in the order in which answers come.

    The same command again goes on where it was interrupted or killed. Lines of the output have the
    `custom_id` of their request; those without an answer say why in `error`, or in an answer with a status
    other than 200. The exit status is 1 if there are such lines.
    """
    from zoran_ray.batch.output_file import OutputFile

    with OutputFile(source, output, model) as book, ExitStack() as stack:
        _tell_faults(book.counts)
        if start:
            base_url = _started(start, stack)
        with client(base_url, api_key, state_dir, config, timeout_s) as whom, suppress(RouteNotFound):
            whom.models()  # a wrong key or address is told at once, not in every line
        url, key = where(base_url, api_key, state_dir, config)
        began = time.monotonic()
        with _watched(book.counts) as show:
            trust = trusted(base_url, state_dir, config)
            _in_a_loop(_run(book, url, key, concurrency, timeout_s, show, trust))
        told = _summary(book.counts, time.monotonic() - began)
    if as_json:
        print_json(told)
    else:
        typer.echo(_sentence(told))
    if told["failed"]:
        raise typer.Exit(FAILURE)


def _started(models: list[str], stack: ExitStack) -> str:
    from zoran_ray.library import EmbeddedServer

    server = EmbeddedServer(models)
    stack.callback(server.close)
    return server.url


def _in_a_loop(work: Coroutine[Any, Any, None]) -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


async def _run(
    book: "OutputFile",
    url: str,
    key: str | None,
    concurrency: int,
    timeout_s: float,
    show: Callable[[], None],
    trust: "ssl.SSLContext | None",
) -> None:
    from zoran_ray.batch.runner import Places, Runner
    from zoran_ray.cli.batch_asking import HttpAsk

    async def refresh() -> None:
        while True:
            await asyncio.sleep(_REFRESH_S)
            show()

    async with HttpAsk(url, key, concurrency, timeout_s, trust) as ask:
        watching = asyncio.create_task(refresh())
        try:
            await Runner(book, lambda line: ask(book.request(line)), Places(concurrency)).run()
        finally:
            watching.cancel()
            show()


def _tell_faults(counts: "Counts") -> None:
    for message in counts.faults[:_TOLD_FAULTS]:
        typer.echo(styled(printable(message), fg="yellow"), err=True)
    if (more := counts.faulty - _TOLD_FAULTS) > 0:
        typer.echo(
            styled(f"{more} more lines are faulty; the output says what is wrong.", fg="yellow"), err=True
        )


def _summary(counts: "Counts", took_s: float) -> dict[str, Any]:
    tokens = counts.prompt_tokens + counts.completion_tokens
    return {
        "lines": counts.total,
        "done_before": counts.before,
        "completed": counts.completed,
        "failed": counts.failed,
        "faulty": counts.faulty,
        "prompt_tokens": counts.prompt_tokens,
        "completion_tokens": counts.completion_tokens,
        "tokens_per_s": round(tokens / took_s, 1) if took_s else 0.0,
        "completion_tokens_per_s": round(counts.completion_tokens / took_s, 1) if took_s else 0.0,
        "cost_usd": counts.nano_usd / 1e9,
        "took_s": round(took_s, 3),
    }


def _sentence(told: dict[str, Any]) -> str:
    before = f", {told['done_before']} were done before" if told["done_before"] else ""
    return (
        f"{told['completed']} of {told['lines']} answered, {told['failed']} failed{before};"
        f" {told['took_s']:.1f} s, {told['tokens_per_s']:g} tokens/s, {told['cost_usd']:.6f} USD."
    )


@contextmanager
def _watched(counts: "Counts") -> "Iterator[Callable[[], None]]":
    """Shows how far it is; silent where nobody watches."""
    import sys

    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console

    with bar(counts, Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")))) as show:
        yield show


@contextmanager
def bar(
    counts: "Counts", console: "Console", clock: Callable[[], float] = time.monotonic
) -> "Iterator[Callable[[], None]]":
    """A bar with throughput, cost and the time that is left; what it gives draws it anew.

    Args:
        clock: Monotonic seconds.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    began = clock()
    with Progress(*columns, console=console, transient=True, get_time=clock) as bars:
        task = bars.add_task("", total=counts.total, completed=counts.before)

        def show() -> None:
            took_s = max(clock() - began, 1e-3)
            tokens = (counts.prompt_tokens + counts.completion_tokens) / took_s
            failed = f" · {counts.failed} failed" if counts.failed else ""
            text = f"{tokens:.0f} tokens/s · {counts.nano_usd / 1e9:.4f} USD{failed} · ETA"
            bars.update(task, completed=counts.done, description=text)

        yield show
