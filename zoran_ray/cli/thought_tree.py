"""The thoughts of a strategy as a tree: drawn live on a terminal, indented lines elsewhere.

Knows what a server says of a thought (`zoran` of a chunk) and trusts none of it: what is no sensible value
is taken for nothing.
"""

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from zoran_ray.cli.output import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live
    from rich.text import Text
    from rich.tree import Tree

MOST_NODES = 2000
"""Thoughts that are drawn; the rest is counted."""
MOST_LINE_CHARS = 160
_MOST_HEARD_CHARS = 2_000
"""Of one thought while it is heard: a line of it is shown."""
_ROWS_LEFT = 2
_STYLES = {
    "answer": "bold",
    "verdict": "yellow",
    "value": "cyan",
    "action": "magenta",
    "observation": "blue",
}


class ThoughtTree:
    """One answer's thoughts.

    Args:
        terminal: Whether to draw; unset: whether it goes to a terminal.
        err: Whether it goes to stderr, beside an answer, or is itself what was asked for.
    """

    def __init__(self, terminal: bool | None = None, *, err: bool = True) -> None:
        self._err = err
        self._drawn = (sys.stderr if err else sys.stdout).isatty() if terminal is None else terminal
        self._depths: dict[int, int] = {0: -1}
        self._trees: dict[int, Tree] = {}
        self._heard: dict[int, str] = {}
        self._live: Live | None = None
        self._left_out = 0

    def hear(self, zoran: Mapping[str, Any], reasoning: str) -> None:
        """Show one thought.

        Args:
            zoran: What the server says of it.
            reasoning: Its text.
        """
        number, parent = _whole(zoran.get("id")), _whole(zoran.get("parent"))
        partial = zoran.get("partial") is True
        if partial or number in self._heard:
            reasoning = self._heard[number] = (self._heard.get(number, "") + reasoning)[:_MOST_HEARD_CHARS]
            if partial and not self._drawn:
                return  # a line that is printed cannot grow
        if number in self._depths:
            self._redraw(number, zoran, reasoning)
            return
        if len(self._depths) > MOST_NODES:
            self._left_out += 1
            return
        parent = parent if parent in self._depths else 0
        self._depths[number] = self._depths[parent] + 1
        kind, line = _word(zoran.get("kind")), _line(zoran, reasoning)
        if self._drawn:
            self._draw(number, parent, kind, line)
        else:
            typer.echo(f"{'  ' * self._depths[number]}{kind}: {line}", err=self._err)

    def end(self) -> None:
        """The answer follows, or nothing: what was drawn stays as it is."""
        if self._live is not None:
            self._live.update(self._trees[0])
            self._live.stop()
            self._live = None
        if self._left_out:
            typer.echo(f"({self._left_out} more thoughts)", err=self._err)
            self._left_out = 0

    def _draw(self, number: int, parent: int, kind: str, line: str) -> None:
        if self._live is None:
            self._begin()
        self._trees[number] = self._trees[parent].add(_label(kind, line))
        assert self._live is not None
        self._live.refresh()

    def _redraw(self, number: int, zoran: Mapping[str, Any], reasoning: str) -> None:
        """More of a thought that is heard while it is thought; of any other nothing is new."""
        if number in self._trees and number in self._heard and self._live is not None:
            self._trees[number].label = _label(_word(zoran.get("kind")), _line(zoran, reasoning))
            self._live.refresh()

    def _begin(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.tree import Tree

        self._trees[0] = Tree("thoughts", guide_style=_style("dim"))
        console = Console(stderr=self._err, highlight=False)
        self._live = Live(_Tail(self._trees[0]), console=console, auto_refresh=False, redirect_stdout=False)
        self._live.start()


class _Tail:
    """The last lines of a tree, as many as the window has."""

    def __init__(self, tree: "Tree") -> None:
        self._tree = tree

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.segment import Segment

        lines = console.render_lines(self._tree, options, pad=False)
        for line in lines[-max(1, console.height - _ROWS_LEFT) :]:
            yield from line
            yield Segment.line()


def ended_line(zoran: Mapping[str, Any]) -> str:
    """What it took, in one line; empty where the server does not say."""
    if "trace_id" not in zoran:
        return ""
    calls, tokens = _whole(zoran.get("calls")), _whole(zoran.get("tokens"))
    cached = _whole(zoran.get("cached_tokens"))
    return (
        f"{_word(zoran.get('ended'))}: {calls} calls, {tokens} tokens ({cached} cached),"
        f" {_usd(zoran.get('cost_usd'))}, {_word(zoran.get('trace_id'))}"
    )


def _label(kind: str, line: str) -> "Text":
    from rich.text import Text

    return Text.assemble((f"{kind} ", _style(_STYLES.get(kind, "dim"))), line)


def _line(zoran: Mapping[str, Any], reasoning: str) -> str:
    said = reasoning or zoran.get("text") or ""
    words = " ".join(printable(said).split()) if isinstance(said, str) else ""
    short = words if len(words) <= MOST_LINE_CHARS else f"{words[: MOST_LINE_CHARS - 1]}…"
    tokens = _whole(zoran.get("tokens"))
    return f"{short} ({tokens} tokens)" if tokens else short


def _style(name: str) -> str:
    """None of any kind where `NO_COLOR` is set (https://no-color.org)."""
    return "" if os.environ.get("NO_COLOR") else name


def _whole(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0


def _usd(value: object) -> str:
    return f"{value:.6f} USD" if type(value) in (int, float) else "0 USD"


def _word(value: object) -> str:
    return printable(value).replace("\n", " ")[:64] if isinstance(value, str) else ""
