"""`zoran zgs`: messages between agents, one a line on stdin, checked and turned into JSON and back."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from zoran_ray.cli.options import AsJson
from zoran_ray.cli.output import print_json
from zoran_ray.cli.z5 import read_stdin

app = typer.Typer(help="Messages between agents, `SIG:…`.", no_args_is_help=True)

MAX_INPUT_BYTES = 64 * 1024 * 1024
MOST_FAULTS = 100
"""Faulty lines that are told; more are counted."""


@app.command()
def check(as_json: AsJson = False) -> None:
    """Check messages on stdin, one a line; tells the first fault of each with line and column."""
    from zoran_ray.errors import ZgsSyntaxError
    from zoran_ray.zgs import parse

    messages, count = 0, 0
    faults: list[ZgsSyntaxError] = []
    for number, line in _lines():
        messages += 1
        try:
            parse(line, line=number)
        except ZgsSyntaxError as wrong:
            count += 1
            faults += [wrong][: MOST_FAULTS - len(faults)]
    if as_json:
        told = [{"line": each.line, "column": each.column, "message": each.message} for each in faults]
        print_json({"messages": messages, "faulty": count, "faults": told})
    else:
        for each in faults:
            typer.echo(each.message, err=True)
        typer.echo(f"{messages} message{'' if messages == 1 else 's'}, {count or 'none'} faulty.")
    if count:
        raise typer.Exit(1)


@app.command()
def decode(
    opened: Annotated[
        bool, typer.Option("--open", help="Add the text in each payload; `encode` does not take that back.")
    ] = False,
) -> None:
    """Turn messages on stdin into JSON, one a line."""
    from zoran_ray.zgs import parse, to_json

    documents = [to_json(parse(line, line=number)) for number, line in _lines()]
    for document in map(_opened, documents) if opened else documents:
        print_json(document)


@app.command()
def encode() -> None:
    """Turn JSON on stdin, one object a line as `decode` writes it, into messages."""
    import orjson

    from zoran_ray.errors import InvalidRequest, ZgsSyntaxError
    from zoran_ray.zgs import from_json, write

    texts = []
    for number, line in _lines():
        try:
            texts.append(write(from_json(orjson.loads(line))))
        except orjson.JSONDecodeError as wrong:
            raise InvalidRequest(f"Line {number}, column {wrong.colno}: this is not JSON.") from None
        except ZgsSyntaxError as wrong:
            # The place is one in the message, not in the JSON.
            raise InvalidRequest(f"Line {number} makes no message. {wrong.message}") from None
        except InvalidRequest as wrong:
            raise InvalidRequest(f"Line {number}: {wrong.message}", param=wrong.param) from None
    for text in texts:
        typer.echo(text)


def _lines() -> Iterator[tuple[int, bytes]]:
    """Numbered lines of stdin; the last may lack its end."""
    lines = read_stdin(MAX_INPUT_BYTES).split(b"\n")
    return enumerate(lines[:-1] if lines[-1] == b"" else lines, 1)


def _opened(document: dict[str, Any]) -> dict[str, Any]:
    from zoran_ray.memory.z5 import codec

    payload = document.get("payload")
    return (
        document
        if payload is None
        else document | {"opened": codec().decode(payload).decode("utf-8", "replace")}
    )
