"""What the memory answers, for people. An answer of any shape is shown as far as it goes."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_SHOWN_CHARS = 200


def hit_cells(row: Mapping[str, Any]) -> list[str]:
    """Id, layer, subject, score and the beginning of the text of a hit."""
    score = row.get("score")
    text = " ".join(str(row.get("text", "")).split())
    if len(text) > _SHOWN_CHARS:
        text = f"{text[:_SHOWN_CHARS]}…"
    layer = f"{row.get('layer')}{', untrusted' if row.get('untrusted') else ''}"
    number = f"{score:.4f}" if isinstance(score, int | float) else ""
    return [str(row.get("id")), layer, str(row.get("subject")), number, text]


def shard_cells(shard: Mapping[str, Any]) -> list[str]:
    """Name, node, state, counts and sizes of a shard."""
    told = mapping(shard.get("stats"))
    state = "ready" if told else "away"
    if shard.get("waits_for"):
        state = f"waits for {', '.join(map(str, shard['waits_for']))}"
    counts = [str(told.get(name, "")) for name in ("records", "tenants", "consents")]
    sizes = [_megabytes(told.get(name)) for name in ("memory_bytes", "log_bytes")]
    return [str(shard.get("name")), str(shard.get("node")), state, *counts, *sizes]


def _megabytes(count: Any) -> str:
    return f"{count / 1e6:.1f}" if isinstance(count, int | float) else ""


def shown(value: Any) -> str:
    """The value of a record's field; a number with a point is a time."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float() if math.isfinite(value):
            return datetime.fromtimestamp(min(max(value, 0), 2**36), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        case Mapping():
            return ", ".join(f"{name} {shown(inner)}" for name, inner in value.items())
        case list():
            return ", ".join(map(shown, value))
        case _:
            return str(value)


def leaf(told: Mapping[str, Any]) -> str:
    """The journal's entry that says so, for the end of a sentence."""
    number = told.get("journal_leaf")
    return "" if number is None else f" (journal entry {number})"


def rows(found: Any) -> list[Mapping[str, Any]]:
    """The rows of a list."""
    data = mapping(found).get("data")
    return [mapping(row) for row in data] if isinstance(data, list) else []


def mapping(value: Any) -> Mapping[str, Any]:
    """An object; of anything else, an empty one."""
    return value if isinstance(value, Mapping) else {}
