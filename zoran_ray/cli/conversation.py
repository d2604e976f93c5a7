"""A conversation at the terminal: keeps the history and shows answers as they come."""

import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Literal, Protocol

import typer

from zoran_ray.cli.output import print_json, printable, styled
from zoran_ray.cli.thought_tree import ThoughtTree, ended_line
from zoran_ray.client import Delta, Message
from zoran_ray.client.answers import joined
from zoran_ray.errors import ZoranError


class Answering(Protocol):
    """Whom a conversation asks: a server's client, or a provider."""

    def chat(
        self, messages: Sequence[Message], model: str | None, *, stream: Literal[True]
    ) -> Generator[Delta, None, None]:
        """The answer, piece by piece; closing the iterator cancels the rest. Raises: ZoranError."""


class Conversation:
    """One history with one model.

    Args:
        client: Whom to ask.
        model: Who answers; None for the first there is.
        system: System message, if any.
        as_json: Print every answer as one JSON line when it is complete.
    """

    def __init__(self, client: Answering, model: str | None, system: str | None, as_json: bool) -> None:
        self._client = client
        self._model = model
        self._as_json = as_json
        self._thinking = False
        self._tree = ThoughtTree()
        self._history = [{"role": "system", "content": system}] if system else []

    def ask(self, question: str) -> None:
        """Ask, show the answer, remember both. Of an answer that breaks off, what has come is remembered.

        Raises:
            KeyboardInterrupt: A person cancelled it.
            ZoranError: There is no answer, or no end of it.
        """
        messages = [*self._history, {"role": "user", "content": question}]
        pieces: list[Delta] = []
        self._tree = ThoughtTree()
        try:
            with closing(self._client.chat(messages, self._model, stream=True)) as stream:
                for delta in stream:
                    pieces.append(delta)
                    self._show(delta)
        finally:
            self._tree.end()
            answer = joined(pieces)
            if answer.text:
                self._history = [*messages, {"role": "assistant", "content": answer.text}]
            if pieces and not self._as_json:
                typer.echo()
                self._show_end(pieces)
        if self._as_json:
            print_json(asdict(answer))

    def run(self) -> None:
        """Ask what a person types until Ctrl-D."""
        import readline  # noqa: F401 - gives `input` line editing

        typer.echo("Ctrl-C cancels an answer, Ctrl-D ends.", err=True)
        while (question := _typed()) is not None:
            if not question.strip():
                continue
            try:
                self.ask(question)
            except KeyboardInterrupt:
                typer.echo("(cancelled)", err=True)
            except ZoranError as error:
                typer.echo(error.message, err=True)

    def _show(self, delta: Delta) -> None:
        if self._as_json:
            return
        if delta.zoran is not None and "id" in delta.zoran:
            self._tree.hear(delta.zoran, delta.reasoning)
        elif delta.reasoning and sys.stderr.isatty():
            typer.echo(styled(printable(delta.reasoning), dim=True), nl=False, err=True)
            self._thinking = True
        if delta.text:
            self._tree.end()
            if self._thinking:
                typer.echo(err=True)
                self._thinking = False
            text = printable(delta.text) if sys.stdout.isatty() else delta.text
            typer.echo(text, nl=False)

    def _show_end(self, pieces: Sequence[Delta]) -> None:
        """What a strategy took, for a person."""
        told = next((piece.zoran for piece in reversed(pieces) if piece.zoran is not None), None)
        if told is not None and (line := ended_line(told)) and sys.stderr.isatty():
            typer.echo(styled(line, dim=True), err=True)


def _typed() -> str | None:
    """The next line; an empty one after Ctrl-C, None after Ctrl-D."""
    try:
        return input("> ")
    except KeyboardInterrupt:
        typer.echo()
        return ""
    except EOFError:
        typer.echo()
        return None
