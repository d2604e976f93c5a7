"""`zoran chat`: talk to any OpenAI-compatible server."""

import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from zoran_ray.cli.options import AsJson, ConfigFile, StateDir, settings

MAX_QUESTION_BYTES = 4 * 1024 * 1024
"""Most that is read from a pipe."""


def chat(
    question: Annotated[str | None, typer.Option("-q", "--question", help="Ask this and end.")] = None,
    model: Annotated[
        str | None, typer.Option("-m", "--model", help="Who answers; by default the server's first model.")
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            envvar="ZORAN_BASE_URL", help="Server to ask; by default the one of the state directory."
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar=["ZORAN_API_KEY", "OPENAI_API_KEY"],
            help="Key of that server; better given as a variable, which no process list shows.",
        ),
    ] = None,
    system: Annotated[str | None, typer.Option(help="System message before everything else.")] = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=1, help="Longest silence, in seconds.")
    ] = 600.0,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask a model. Ctrl-C cancels an answer, Ctrl-D ends; a question can be piped in."""
    from zoran_ray.cli.conversation import Conversation
    from zoran_ray.client import Client

    if question is None and not sys.stdin.isatty():
        question = _piped()
    url = base_url or _local_url(state_dir, config)
    with Client(url, api_key, timeout_s) as client:
        conversation = Conversation(client, model, system, as_json)
        if question is not None:
            conversation.ask(question)
        else:
            conversation.run()


def _piped() -> str:
    raw = sys.stdin.buffer.read(MAX_QUESTION_BYTES + 1)
    if len(raw) > MAX_QUESTION_BYTES:
        raise typer.BadParameter(f"the question on stdin is longer than {MAX_QUESTION_BYTES} bytes.")
    text = raw.decode("utf-8", "replace")
    if not text.strip():
        raise typer.BadParameter("there is no question on stdin; give one with -q.")
    return text


def _local_url(state_dir: Path | None, config: Path | None) -> str:
    """Where the server of the state directory says it is, or else where it would be."""
    from zoran_ray.control import read_record

    found = settings(config=config, state_dir=state_dir)
    record = read_record(found.state_dir)
    return record.url if record is not None else _reachable(found.server.host, found.server.port)


def _reachable(host: str, port: int) -> str:
    """The address to ask for a server that listens on `host`."""
    try:
        address = ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        return f"http://{'127.0.0.1' if address.version == 4 else '[::1]'}:{port}"
    return f"http://{f'[{host}]' if address.version == 6 else host}:{port}"
