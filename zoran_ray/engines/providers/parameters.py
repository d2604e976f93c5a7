"""Reads the parameters of an OpenAI request body for providers that speak another format.

Whoever reads a parameter takes it; what nobody took is refused by name at the end. So nothing a client
asks for is dropped in silence, whichever provider is asked. Knows OpenAI's names, and no provider's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoran_ray.errors import InvalidRequest

_GATEWAYS_OWN = frozenset({"model", "stream", "zoran"})
_HINTS = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "session_id",
        "user",
    }
)
"""They say who asks, or how OpenAI keeps and finds the answer; they do not change it."""
_ASKS_NOTHING: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("n", "best_of", "repetition_penalty"), (1,)),
    **dict.fromkeys(("frequency_penalty", "presence_penalty", "min_p", "top_logprobs"), (0,)),
    **dict.fromkeys(("logprobs", "store"), (False,)),
    **dict.fromkeys(("tools", "functions"), ([],)),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "parallel_tool_calls": (True,),
    "service_tier": ("auto", "default"),
    "verbosity": ("medium",),
}
"""Values that are the same as leaving the parameter out."""
_STREAM_OPTIONS = frozenset({"include_usage", "include_obfuscation"})
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class JsonFormat:
    """The answer must be JSON. `schema` None: any object will do."""

    schema: dict[str, Any] | None


class Parameters:
    """The parameters of one body, each taken once.

    Args:
        document: OpenAI's body, of any JSON types.
        provider: Its name, for messages.
    """

    def __init__(self, document: Mapping[str, Any], provider: str) -> None:
        self._document = document
        self._taken: set[str] = set()
        self.provider = provider

    def take(self, name: str) -> Any:
        """The value as it came; None if there is none."""
        self._taken.add(name)
        return self._document.get(name)

    def refuse_rest(self) -> None:
        """Raises: InvalidRequest, with the first parameter that nobody took and that asks for something."""
        self._check_stream_options()
        settled = self._taken | _GATEWAYS_OWN | _HINTS
        for name, value in self._document.items():
            if name in settled or value is None or value in _ASKS_NOTHING.get(name, ()):
                continue
            raise self.refusal(name, "has no such parameter")

    def refusal(self, name: str, why: str) -> InvalidRequest:
        """The error of a parameter that this provider cannot honour."""
        told = name if name.isprintable() and len(name) <= 128 else "…"
        return InvalidRequest(
            f"'{told}': {self.provider} {why}. Leave it out, or choose a model of another provider.",
            param=told,
        )

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number from `low` to `high`, both included."""
        value = self.take(name)
        if value is None:
            return None
        if type(value) not in (int, float):
            raise wrong(name, "a number")
        if not low <= value <= high:
            raise self.refusal(name, f"takes {low:g} to {high:g} only")
        return float(value)

    def integer(self, name: str, least: int) -> int | None:
        """An integer of at least `least`."""
        value = self.take(name)
        if value is None:
            return None
        if type(value) is not int or value < least:
            raise wrong(name, f"an integer of {least} or more")
        return value

    def flag(self, name: str) -> bool | None:
        """A boolean."""
        value = self.take(name)
        if value is not None and type(value) is not bool:
            raise wrong(name, "a boolean")
        return value

    def output_limit(self) -> int | None:
        """`max_completion_tokens`, else its older name `max_tokens`."""
        limit, older = self.integer("max_completion_tokens", 1), self.integer("max_tokens", 1)
        return older if limit is None else limit

    def top_k(self) -> int | None:
        """How many tokens are considered, None for all of them; not OpenAI's, but usual."""
        value = self.integer("top_k", -1)
        return value if value is not None and value > 0 else None

    def stops(self, most: int | None = None) -> list[str]:
        """Stop strings, none of them empty; at most `most`."""
        value = self.take("stop")
        several = [value] if type(value) is str else value or []
        if type(several) is not list or any(type(each) is not str for each in several):
            raise wrong("stop", "a string or an array of strings")
        if most is not None and len(several) > most:
            raise self.refusal("stop", f"takes at most {most} of them")
        return [each for each in several if each]

    def effort(self) -> str | None:
        """`reasoning_effort`, one of OpenAI's names."""
        value = self.take("reasoning_effort")
        if value is not None and value not in _EFFORTS:
            raise wrong("reasoning_effort", f"one of {', '.join(_EFFORTS)}")
        return str(value) if value is not None else None

    def json_format(self) -> JsonFormat | None:
        """What `response_format` asks for; None for plain text."""
        value = self.take("response_format")
        kind = value.get("type") if type(value) is dict else None
        if value is None or kind == "text":
            return None
        if kind == "json_object":
            return JsonFormat(None)
        if kind != "json_schema":
            raise wrong("response_format.type", "text, json_object or json_schema")
        return JsonFormat(_schema(value.get("json_schema")))

    def _check_stream_options(self) -> None:
        options = self.take("stream_options")
        if options is None:
            return
        if type(options) is not dict:
            raise wrong("stream_options", "an object")
        for name, value in options.items():
            if name not in _STREAM_OPTIONS and value:
                raise self.refusal(f"stream_options.{name}", "has no such option")


def wrong(name: str, wanted: str) -> InvalidRequest:
    """The error of a value that nobody could make sense of."""
    return InvalidRequest(f"'{name}' must be {wanted}.", param=name)


def _schema(asked: Any) -> dict[str, Any]:
    schema = asked.get("schema") if type(asked) is dict else None
    if type(schema) is not dict:
        raise wrong("response_format.json_schema.schema", "an object")
    description = asked.get("description")
    # The model sees nothing of the format but its schema.
    return {"description": description, **schema} if type(description) is str else schema
