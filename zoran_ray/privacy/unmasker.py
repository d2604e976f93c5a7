"""Puts values back in place of placeholders, in texts and in streams cut anywhere. Knows no store."""

import json
import re
from collections.abc import Callable

from zoran_ray.privacy.placeholder import FORM, unfinished

Lookup = Callable[[str], str | None]
"""What a placeholder stands for; None where it is unknown, which leaves it as it is."""


def as_is(value: str) -> str:
    """For plain text."""
    return value


def in_json(value: str) -> str:
    """For text that is itself JSON, such as the arguments of a tool call: the inside of a JSON string."""
    return json.dumps(value)[1:-1]


def unmask(text: str, lookup: Lookup, encode: Callable[[str], str] = as_is) -> str:
    """The text with all known placeholders replaced. What a value contains is not looked at again."""

    def value_of(match: re.Match[str]) -> str:
        value = lookup(match[0])
        return match[0] if value is None else encode(value)

    return FORM.sub(value_of, text)


class StreamUnmasker:
    """`unmask` for a stream: the pieces that come out make the same text however it was cut.

    Only the longest suffix that could still begin a placeholder is held back, at most 42 characters.

    Args:
        lookup: What a placeholder stands for.
        encode: How a value is written where the placeholder stood.
    """

    def __init__(self, lookup: Lookup, encode: Callable[[str], str] = as_is) -> None:
        self._lookup = lookup
        self._encode = encode
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be said for certain after one more piece; may be empty."""
        if not self._held and "[" not in piece:
            return piece
        text = self._held + piece
        end = unfinished(text)
        self._held = text[end:]
        return unmask(text[:end], self._lookup, self._encode)

    def finish(self) -> str:
        """What was still held back: the stream ends here."""
        held, self._held = self._held, ""
        return held
