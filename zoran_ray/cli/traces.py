"""`zoran traces`: what strategies thought. Asks a running server, or reads what it once gave."""

import asyncio
import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoran_ray.cli.endpoint import ApiKey, BaseUrl, client
from zoran_ray.cli.exits import FAILURE
from zoran_ray.cli.options import AsJson, ConfigFile, StateDir
from zoran_ray.cli.output import print_json, print_table, printable
from zoran_ray.cli.trace_shown import show_end, show_steps, used_of
from zoran_ray.errors import ConfigError, InvalidRequest

if TYPE_CHECKING:
    from zoran_ray.reasoning.replayed import Replayed

app = typer.Typer(help="What strategies thought, step by step.", no_args_is_help=True)

TIMEOUT_S = 60.0
MOST_BYTES = 64 * 1024 * 1024
"""Largest file that is read; a server's documents have at most a quarter of it."""

_ID = re.compile(r"trace-[0-9a-f]{32}")

Which = Annotated[
    str,
    typer.Argument(metavar="ID|FILE", help="Its id, or a file with what `show --json` gave; `-`: stdin."),
]
Server = tuple[str | None, str | None, Path | None, Path | None]


@app.callback()
def root() -> None:
    """What strategies thought, step by step."""


@app.command("list")
def list_traces(
    limit: Annotated[int, typer.Option("-n", min=1, max=100, help="How many.")] = 20,
    after: Annotated[str | None, typer.Option(metavar="ID", help="Those before this one.")] = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Your traces that the server still has, the newest first."""
    from urllib.parse import urlencode

    asked: dict[str, Any] = {"limit": limit} | ({"after": after} if after else {})
    page = _ask((base_url, api_key, state_dir, config), f"traces?{urlencode(asked)}")
    if as_json:
        print_json(page)
    else:
        print_table(
            ("TRACE", "TIME", "MODEL", "ENDED", "CALLS", "TOKENS"), [_cells(row) for row in page["data"]]
        )


@app.command()
def show(
    which: Which,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """The thoughts as a tree, then the answer. With --json: the whole document, as it can be replayed."""
    document = _document(which, (base_url, api_key, state_dir, config))
    if as_json:
        print_json(document)
        return
    show_steps(document)
    typer.echo(printable(str(document.get("answer") or "(no answer)")))
    show_end(document)


@app.command()
def replay(
    which: Which,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Think it again with the recorded completions: does the same answer come out?

    No model is asked and no verifier: their words are taken from the trace. The exit status is 1 if the
    answer, its end or its verdict is another one.
    """
    from zoran_ray.reasoning.replayed import replayed

    document = _document(which, (base_url, api_key, state_dir, config))
    found = asyncio.run(replayed(document))
    if as_json:
        print_json(_row(document, found))
    else:
        _tell(document, found)
    if not found.same:
        raise typer.Exit(FAILURE)


def _ask(server: Server, path: str) -> Any:
    with client(*server, TIMEOUT_S) as asking:
        return asking.ask("GET", path)


def _document(which: str, server: Server) -> Mapping[str, Any]:
    """Raises: ConfigError: The file cannot be read. InvalidRequest: It is no trace."""
    document = _ask(server, f"traces/{which}") if _ID.fullmatch(which) else _read(which)
    if not isinstance(document, dict) or document.get("object") != "trace":
        raise InvalidRequest("This is no trace: save one with `zoran traces show ID --json`.")
    return document


def _read(name: str) -> Any:
    try:
        if name == "-":
            data = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{printable(name)} is no trace's id, and no file that can be read: {error.strerror}."
        ) from error
    if len(data) > MOST_BYTES:
        raise InvalidRequest(f"A trace has at most {MOST_BYTES} bytes; this file has more.")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise InvalidRequest("This is no trace: it is not JSON.") from None


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    used = used_of(row)
    at = datetime.fromtimestamp(row["created"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    said = str(row.get("model") or ""), str(row.get("ended") or "")
    return row["id"], at, *said, str(used["calls"]), str(used["tokens"])


def _row(document: Mapping[str, Any], found: "Replayed") -> dict[str, Any]:
    answer = found.answer
    return {
        "id": document.get("id"),
        "same": found.same,
        "then": {name: document.get(name) for name in ("answer", "ended", "verified")},
        "now": {"answer": answer.text, "ended": answer.ended, "verified": answer.verified},
        "calls": found.calls,
        "calls_left": found.left,
    }


def _tell(document: Mapping[str, Any], found: "Replayed") -> None:
    row = _row(document, found)
    left = f", {found.left} recorded calls were not made again" if found.left else ""
    if found.same:
        typer.echo(f"The same answer: {printable(found.answer.text)}")
    else:
        for when in ("then", "now"):
            typer.echo(f"{when}: {printable(json.dumps(row[when], ensure_ascii=False))}")
    typer.echo(f"{found.calls} calls replayed{left}; no model was asked.", err=True)
