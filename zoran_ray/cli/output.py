"""How results and progress are shown: tables or JSON on stdout, progress on stderr for people only."""

import json
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import typer

WIDE = 10_000
"""Columns of an output that nobody looks at in a window."""


def print_json(data: Any) -> None:
    """One JSON document on stdout, on one line."""
    typer.echo(json.dumps(data, ensure_ascii=False, default=str))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns on stdout; long cells wrap on a terminal and stay whole elsewhere."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    if not console.is_terminal:
        console.width = WIDE
    console.print(table)


def printable(text: str) -> str:
    """`text` without control characters, which could steer the terminal."""
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) != "Cc")


def styled(text: str, **style: Any) -> str:
    """`text` in colour or weight, unless `NO_COLOR` is set (https://no-color.org)."""
    return text if os.environ.get("NO_COLOR") else typer.style(text, **style)


class Progress:
    """Tells a person at a terminal what is going on, one line a step; silent where nobody watches.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()

    def __call__(self, stage: str, detail: str) -> None:
        """Show one step."""
        if sys.stderr.isatty():
            text = printable(f"{stage}: {detail}" if detail else stage)
            typer.echo(styled(f"{self._clock() - self._began:6.1f} s  {text}", dim=True), err=True)
