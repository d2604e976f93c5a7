"""What the journal records: a kind, a time, and metadata that cannot hold a sentence.

An entry is never erased, so it must never hold what somebody may ask to be erased. Values are numbers,
flags and short tokens without spaces or `@`; a person stands in it as a keyed hash (`blinded`), which says
nothing any more once its key is gone. Knows no files.

The bytes of an entry are canonical JSON, one way to write each, and are the data of its leaf.
Source: RFC 8785 (JSON Canonicalization Scheme), without floats and with ASCII names only.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from zoran_ray.errors import InvalidRequest

Scalar = str | int | bool | None

MOST_FIELDS = 32
MOST_ENTRY_BYTES = 4096
MOST_NUMBER = 2**53 - 1
"""Largest whole number that every JSON reader takes for what it is."""
VERSION = 1

BLINDED_FIELDS = frozenset({"subject", "tenant", "user"})
"""Fields that stand for somebody: their values must come from `blinded`."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TOKEN = re.compile(r"[A-Za-z0-9._:/+=-]{0,160}")
_BLINDED = re.compile(r"hmac-sha256:[0-9a-f]{64}")
_LEAST_KEY_BYTES = 16


def token(text: str) -> str | None:
    """The text if an entry may hold it as it is, else None: what is no token may say anything."""
    return text if _TOKEN.fullmatch(text) else None


class Kind(StrEnum):
    """What happened."""

    ROUTING_DECISION = "routing.decision"
    GUARD_ROLLBACK = "guard.rollback"
    MEMORY_WRITE = "memory.write"
    MEMORY_PROMOTION = "memory.promotion"
    MEMORY_ERASURE = "memory.erasure"
    CONSENT_CHANGE = "consent.change"
    POLICY_DECISION = "policy.decision"
    TASK_TRANSITION = "task.transition"
    REASONING_TRACE = "reasoning.trace"
    TOOL_CALL = "tool.call"


@dataclass(frozen=True, slots=True)
class Entry:
    """One record.

    Attributes:
        kind: What happened.
        at_ms: When, in Unix milliseconds, by the clock of whoever tells.
        meta: Details, by name: `[a-z][a-z0-9_]*`. Money and durations as whole numbers with the unit in the
            name.
        data: The canonical bytes.

    Raises:
        InvalidRequest: A detail has no place in a journal; the message names the field, never its value.
    """

    kind: Kind
    at_ms: int
    meta: Mapping[str, Scalar]
    data: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _is_whole(self.at_ms) or self.at_ms < 0:
            raise _wrong("at_ms", "give the time as a whole number of Unix milliseconds")
        if len(self.meta) > MOST_FIELDS:
            raise InvalidRequest(
                f"An entry has at most {MOST_FIELDS} fields; leave some out.", param="meta"
            )
        for name, value in self.meta.items():
            _check(name, value)
        meta = dict(self.meta)
        body = {"at_ms": self.at_ms, "kind": Kind(self.kind).value, "meta": meta, "v": VERSION}
        data = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        if len(data) > MOST_ENTRY_BYTES:
            raise InvalidRequest(f"An entry has at most {MOST_ENTRY_BYTES} bytes; leave fields out.")
        object.__setattr__(self, "meta", meta)
        object.__setattr__(self, "data", data)

    @classmethod
    def from_data(cls, data: bytes) -> "Entry":
        """The entry whose canonical bytes these are.

        Raises:
            InvalidRequest: They are none, or a newer version's.
        """
        try:
            body: dict[str, Any] = orjson.loads(data)
            entry = cls(Kind(body["kind"]), body["at_ms"], body["meta"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidRequest(
                "This entry cannot be read; a newer zoran_ray may have written it."
            ) from error
        if entry.data != data:
            raise InvalidRequest("This entry is not written in the canonical way; another program made it.")
        return entry


def blinded(value: str, key: bytes) -> str:
    """Stands for `value` in an entry: the same for the same key, dead once the key is gone.

    Args:
        value: Such as a subject's name.
        key: At least 16 secret bytes, of one tenant or subject; erased with what it hides.
    """
    if len(key) < _LEAST_KEY_BYTES:
        raise ValueError(f"a key that hides names has at least {_LEAST_KEY_BYTES} bytes")
    return f"hmac-sha256:{hmac.digest(key, value.encode(), 'sha256').hex()}"


def _check(name: object, value: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidRequest("A field of an entry has a name like `tokens_in`: a-z, 0-9, _.", param="meta")
    if name in BLINDED_FIELDS:
        if not isinstance(value, str) or not _BLINDED.fullmatch(value):
            raise _wrong(name, "it stands for somebody: give `blinded(value, key)`")
    elif isinstance(value, str):
        if not _TOKEN.fullmatch(value):
            raise _wrong(
                name, "text must be a token of up to 160 of A-Z a-z 0-9 . _ : / + = -; hash all else"
            )
    elif value is not None and not isinstance(value, bool) and not _is_whole(value):
        raise _wrong(name, "give text, a whole number below 2**53, true, false or null")


def _is_whole(value: object) -> bool:
    return type(value) is int and -MOST_NUMBER <= value <= MOST_NUMBER


def _wrong(name: str, what_to_do: str) -> InvalidRequest:
    return InvalidRequest(f"{name} of a journal entry is wrong: {what_to_do}.", param=name)
