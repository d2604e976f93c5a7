"""JSON inside a string, such as a tool call's arguments: seen without escapes, changed within values.

Detectors see the text as a person would: `"a\\nb@example.org"` holds `b@example.org`, not `nb@…`. Labels in
front of a number (`"siren": 552008443`) stay where they are. Knows no detector and no placeholder.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from zoran_ray.privacy.finding import Finding, replaced

_OPENING = re.compile(r"[ \t\r\n]*[\[{]")
# In valid JSON, read from its beginning: all strings and numbers. Possessive: nothing is given back.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|-?[0-9][0-9.eE+\-]*+', re.DOTALL)


class _Value(NamedTuple):
    """A string, key or number: its place in the view without quotes, that in the text with them."""

    start: int
    end: int
    text_start: int
    text_end: int


class JsonText:
    """A JSON object or array as text.

    Attributes:
        view: The same text with its strings decoded; not JSON any more.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._values: list[_Value] = []
        parts, place, size = [], 0, 0
        for match in _TOKEN.finditer(text):
            start, end = match.span()
            quote = '"' if text[start] == '"' else ""
            value = _decoded(match[0])
            before = text[place:start] + quote
            size += len(before)
            self._values.append(_Value(size, size + len(value), start, end))
            parts += [before, value, quote]
            size += len(value) + len(quote)
            place = end
        self.view = "".join((*parts, text[place:]))

    @staticmethod
    def of(text: str) -> "JsonText | None":
        """The text if it is a JSON object or array, else None."""
        if not _OPENING.match(text):
            return None
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return None
        return JsonText(text)

    def within_values(self, findings: Sequence[Finding]) -> list[Finding]:
        """The findings cut at the ends of the values they touch; what lies between values is dropped.

        Args:
            findings: Of the view, in order of place; no two overlap.
        """
        return [
            replace(finding, start=max(finding.start, value.start), end=min(finding.end, value.end))
            for value, touching in self._touched(findings)
            for finding in touching
        ]

    def replaced(self, findings: Sequence[Finding], names: Sequence[str]) -> str:
        """The JSON text with a name in place of each finding; a number that holds one becomes a string.

        Args:
            findings: From `within_values`.
            names: One for each, in the same order.
        """
        parts, place, rest = [], 0, list(names)
        for value, touching in self._touched(findings):
            inner = [
                replace(each, start=each.start - value.start, end=each.end - value.start)
                for each in touching
            ]
            changed = replaced(self.view[value.start : value.end], inner, rest[: len(inner)])
            del rest[: len(inner)]
            parts += [self._text[place : value.text_start], json.dumps(changed, ensure_ascii=False)]
            place = value.text_end
        return "".join((*parts, self._text[place:]))

    def _touched(self, findings: Sequence[Finding]) -> Iterator[tuple[_Value, list[Finding]]]:
        """The values in which something was found, with what was."""
        first = 0
        for value in self._values:
            while first < len(findings) and findings[first].end <= value.start:
                first += 1
            if first == len(findings):
                return
            touching, number = [], first
            while number < len(findings) and findings[number].start < value.end:
                touching.append(findings[number])
                number += 1
            if touching:
                yield value, touching


def readable(text: str) -> str:
    """The text as detectors should see it: JSON without its escapes, any other as it is."""
    parsed = JsonText.of(text)
    return text if parsed is None else parsed.view


def _decoded(token: str) -> str:
    if token[0] != '"':
        return token
    return str(json.loads(token, strict=False)) if "\\" in token else token[1:-1]
