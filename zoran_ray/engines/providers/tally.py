"""How many tokens an answer has come to so far, also if it breaks off. Knows OpenAI's bodies, no provider.

Money is settled by it, so it never says less than the provider told, and what the provider has not counted
yet is estimated from the text that came.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from zoran_ray.engines.prices import MOST_TOKENS
from zoran_ray.wire import Usage, usage_of

BYTES_PER_TOKEN = 4
"""Of English text. Source: OpenAI's help page "What are tokens and how to count them?"."""

_TEXTS = ("content", "reasoning", "reasoning_content", "refusal", "text")


class Tally:
    """Tokens of one answer. Give it each chunk, or the whole."""

    __slots__ = ("_bytes", "_pieces", "_told")

    def __init__(self) -> None:
        self._told = Usage()
        self._pieces = 0
        self._bytes = 0

    def came(self, document: Mapping[str, Any]) -> None:
        """A chunk, or the whole answer, in OpenAI's format."""
        if (sizes := list(_sizes(document))) and any(sizes):
            self._pieces += 1
            self._bytes += sum(sizes)
        if document.get("usage") and (told := usage_of(document)):
            self.counted(told)

    def counted(self, told: Usage) -> None:
        """The provider's own count of everything up to now; one that makes no sense is not believed."""
        if 0 < told.prompt_tokens + told.completion_tokens <= MOST_TOKENS:
            self._told = told
            self._pieces = self._bytes = 0

    @property
    def usage(self) -> Usage:
        """What the provider counted, and an estimate of what came after that."""
        # A token a piece is what most providers send; pieces of some hold many.
        since = max(self._pieces, -(-self._bytes // BYTES_PER_TOKEN))
        told = self._told
        return Usage(told.prompt_tokens, told.completion_tokens + since, told.cached_tokens)


def _sizes(document: Mapping[str, Any]) -> Iterator[int]:
    """Bytes of every text that was generated."""
    choices = document.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, Mapping):
            said = choice.get("delta") or choice.get("message") or choice
            yield from _texts(said)


def _texts(said: Any) -> Iterator[int]:
    if not isinstance(said, Mapping):
        return
    for name in _TEXTS:
        if isinstance(text := said.get(name), str):
            yield len(text.encode(errors="replace"))
    calls = said.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, Mapping) else None
        for name in ("name", "arguments"):
            if isinstance(function, Mapping) and isinstance(text := function.get(name), str):
                yield len(text.encode(errors="replace"))
