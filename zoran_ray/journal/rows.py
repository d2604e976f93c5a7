"""Entries and checkpoints as plain values, for people and JSON. Knows no file."""

from typing import Any

from zoran_ray.errors import InvalidRequest
from zoran_ray.journal.checkpoint import Checkpoint
from zoran_ray.journal.entry import Entry


def entry_row(number: int, data: bytes) -> dict[str, Any]:
    """An entry; of one that a newer version wrote, the text."""
    try:
        entry = Entry.from_data(data)
    except InvalidRequest:
        return {"number": number, "unread": data.decode(errors="replace")}
    return {"number": number, "at_ms": entry.at_ms, "kind": entry.kind.value, "meta": dict(entry.meta)}


def checkpoint_row(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a checkpoint says; the root in hexadecimal digits."""
    return {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex()}
