"""A trace's document at the terminal: its steps as a tree, and what they took. Believes nothing in it."""

from collections.abc import Mapping
from typing import Any

import typer

from zoran_ray.cli.thought_tree import ThoughtTree, ended_line

_STEP = ("id", "parent", "kind")


def show_steps(document: Mapping[str, Any]) -> None:
    """The steps, on stdout."""
    tree = ThoughtTree(err=False)
    for step in _steps(document):
        told = {name: step.get(name) for name in _STEP} | {"tokens": used_of(step)["tokens"]}
        tree.hear(told, step.get("text") or "")
    tree.end()


def show_end(document: Mapping[str, Any]) -> None:
    """How it ended and what it took, in one line on stderr."""
    used = {"trace_id": document.get("id"), "ended": document.get("ended"), **used_of(document)}
    typer.echo(ended_line(used), err=True)


def used_of(holder: Mapping[str, Any]) -> dict[str, Any]:
    """What a step or a whole trace used, in the words of a stream's last event."""
    found = holder.get("used")
    used = {name: n for name, n in found.items() if type(n) is int} if isinstance(found, dict) else {}
    return {
        "calls": used.get("calls", 0),
        "tokens": used.get("prompt_tokens", 0) + used.get("completion_tokens", 0),
        "cached_tokens": used.get("cached_tokens", 0),
        "cost_usd": used.get("nano_usd", 0) / 1e9,
    }


def _steps(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    steps = document.get("steps")
    return [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
