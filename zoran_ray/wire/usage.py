"""Token counts, as each dialect spells them. Knows nothing of streams."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request.

    Attributes:
        prompt_tokens: All prompt tokens, those read from the prefix cache included.
        completion_tokens: Tokens generated, all choices together.
        cached_tokens: The part of `prompt_tokens` that came from the prefix cache.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def told(self) -> dict[str, Any]:
        """As OpenAI's `CompletionUsage`."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        }


def usage_of(document: object) -> Usage | None:
    """Usage in a response body or a stream event of any dialect, None if it states none.

    Source: OpenAI `CompletionUsage` and `ResponseUsage`; Anthropic `Usage`, whose `input_tokens`
    leaves out what was read from or written to the cache.
    """
    if not isinstance(document, Mapping):
        return None
    for holder in (document, document.get("response"), document.get("message")):
        usage = holder.get("usage") if isinstance(holder, Mapping) else None
        if isinstance(usage, Mapping):
            return _counted(usage)
    return None


def _counted(usage: Mapping[str, Any]) -> Usage:
    if "prompt_tokens" in usage:
        cached = _tokens(usage.get("prompt_tokens_details"), "cached_tokens")
        return Usage(_tokens(usage, "prompt_tokens"), _tokens(usage, "completion_tokens"), cached)
    prompt, completion = _tokens(usage, "input_tokens"), _tokens(usage, "output_tokens")
    if "input_tokens_details" in usage:
        return Usage(prompt, completion, _tokens(usage["input_tokens_details"], "cached_tokens"))
    cached, written = (
        _tokens(usage, "cache_read_input_tokens"),
        _tokens(usage, "cache_creation_input_tokens"),
    )
    return Usage(prompt + cached + written, completion, cached)


def _tokens(counts: object, name: str) -> int:
    value = counts.get(name) if isinstance(counts, Mapping) else None
    return value if type(value) is int and value > 0 else 0
