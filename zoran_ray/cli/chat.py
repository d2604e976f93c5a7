"""`zoran chat`: talk to any OpenAI-compatible server, or to a provider's model without a server."""

import os
import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from zoran_ray.cli.endpoint import ApiKey, BaseUrl, client
from zoran_ray.cli.options import (
    AsJson,
    ConfigFile,
    Direct,
    ModelsFilePath,
    StateDir,
    configured,
    only_direct,
)

if TYPE_CHECKING:
    from zoran_ray.cli.conversation import Answering

MAX_QUESTION_BYTES = 4 * 1024 * 1024
"""Most that is read from a pipe."""


def chat(
    question: Annotated[str | None, typer.Option("-q", "--question", help="Ask this and end.")] = None,
    model: Annotated[
        str | None, typer.Option("-m", "--model", help="Who answers; by default the first model there is.")
    ] = None,
    direct: Direct = False,
    models_file: ModelsFilePath = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
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

    only_direct(direct, models_file)
    if question is None and not sys.stdin.isatty():
        question = piped()
    whom: AbstractContextManager[Answering]
    if direct:
        from zoran_ray.cli.direct import DirectClient

        loaded = configured(config=config, state_dir=state_dir, models_file=models_file)
        whole_s = loaded.settings.server.request_timeout_s
        whom = DirectClient(loaded.catalogue, os.environ, timeout_s, whole_s)
    else:
        whom = client(base_url, api_key, state_dir, config, timeout_s)
    with whom as answering:
        conversation = Conversation(answering, model, system, as_json)
        if question is not None:
            conversation.ask(question)
        else:
            conversation.run()


def piped() -> str:
    """What stands on stdin. Raises: typer.BadParameter: Nothing, or too much."""
    raw = sys.stdin.buffer.read(MAX_QUESTION_BYTES + 1)
    if len(raw) > MAX_QUESTION_BYTES:
        raise typer.BadParameter(f"the question on stdin is longer than {MAX_QUESTION_BYTES} bytes.")
    text = raw.decode("utf-8", "replace")
    if not text.strip():
        raise typer.BadParameter("there is no question on stdin; give one with -q.")
    return text
