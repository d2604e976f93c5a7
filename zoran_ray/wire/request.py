"""A request body as the gateway needs it: parsed once, checked where the engine would be too late.

Everything a caller sends reaches the engine unchanged, so most fields are left for the engine to
judge. Checked here is what the gateway itself relies on, what costs the engine too much to find out,
and what an engine behind a shared endpoint must not be told.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from zoran_ray.errors import InvalidRequest
from zoran_ray.wire.affinity import affinity_of
from zoran_ray.wire.document import kind_of, read, spliced
from zoran_ray.wire.endpoint import Endpoint
from zoran_ray.wire.media import NONE, Media, inspect_media

MAX_MODEL_CHARS = 256
BYTES_PER_TOKEN = 4
MEDIA_TOKENS = 1000
"""Rough size of one picture in the prompt: 1024² pixels are 600 to 1,400 tokens by model."""
DEFAULT_COMPLETION_TOKENS = 256
"""Assumed where the caller sets no limit; the engine's own is the rest of the context."""

_RESERVED = "zoran"
_INTEGER = ("an integer", (int,))
_NUMBER = ("a number", (int, float))
_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "stream": ("a boolean", (bool,)),
    **dict.fromkeys(("n", "best_of", "seed", "priority", "dimensions", "top_k", "top_logprobs"), _INTEGER),
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "max_output_tokens", "min_tokens"), _INTEGER),
    **dict.fromkeys(("truncate_prompt_tokens", "prompt_logprobs", "max_tool_calls"), _INTEGER),
    **dict.fromkeys(("temperature", "top_p", "min_p", "repetition_penalty", "length_penalty"), _NUMBER),
    **dict.fromkeys(("frequency_penalty", "presence_penalty"), _NUMBER),
    "stream_options": ("an object", (dict,)),
    "chat_template_kwargs": ("an object", (dict,)),
}
_REFUSED = {
    "chat_template": "templates run in the engine (CVE-2025-61620)",
    "media_io_kwargs": "they change what the engine loads",
    "mm_processor_kwargs": "they change what the engine loads",
    "kv_transfer_params": "they name hosts the engine connects to",
    "ec_transfer_params": "they name hosts the engine connects to",
}
_OUTPUT_LIMITS = {
    Endpoint.CHAT_COMPLETIONS: ("max_completion_tokens", "max_tokens"),
    Endpoint.COMPLETIONS: ("max_tokens",),
    Endpoint.RESPONSES: ("max_output_tokens",),
    Endpoint.MESSAGES: ("max_tokens",),
}
_USAGE_ON_REQUEST = (Endpoint.CHAT_COMPLETIONS, Endpoint.COMPLETIONS)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a body may ask for.

    Attributes:
        max_depth: Arrays and objects inside one another.
        max_choices: Largest `n` and `best_of`.
        media_hosts: Hosts, in lower case, from which the engine may fetch media.
        fetched_for: The model for which pictures behind URLs are fetched under guard, before an engine is
            asked; for `m` also `m:…`. Empty: there is none.
    """

    max_depth: int = 64
    max_choices: int = 16
    media_hosts: frozenset[str] = frozenset()
    fetched_for: str = ""

    def hosts(self, model: str) -> Collection[str] | None:
        """Hosts that a request to a model may refer to; None for any."""
        guarded = self.fetched_for and model.partition(":")[0] == self.fetched_for
        return None if guarded else self.media_hosts


@dataclass(frozen=True, slots=True)
class RequestBody:
    """One parsed body. Treat `document` as read-only: it and `raw` say the same.

    Attributes:
        raw: What the client sent.
        document: The same, parsed.
        model: As the caller named it.
        stream: The answer is to be a stream of events.
        include_usage: The caller wants the usage event of a chat or completions stream.
        n: Choices per prompt.
        max_tokens: Most tokens of one choice, None if the caller set no limit.
        prompt_tokens: Rough tokens of the prompt.
        estimated_tokens: Rough prompt and completion tokens, for admission before the engine counts.
        affinity: Equal for requests that share a prefix; see `wire.affinity`.
    """

    endpoint: Endpoint
    raw: bytes = field(repr=False)
    document: dict[str, Any] = field(repr=False)
    model: str
    stream: bool
    include_usage: bool
    n: int
    max_tokens: int | None
    prompt_tokens: int
    estimated_tokens: int
    affinity: int | None

    @property
    def lacks_usage(self) -> bool:
        """The engine would stream no usage unless asked; `UsageFilter` then drops it again."""
        return self.stream and not self.include_usage and self.endpoint in _USAGE_ON_REQUEST

    @property
    def plain(self) -> dict[str, Any]:
        """The body without what is said to our own router."""
        if _RESERVED not in self.document:
            return self.document
        return {name: value for name, value in self.document.items() if name != _RESERVED}

    def usage_options(self) -> dict[str, Any]:
        """The members that ask the engine for usage where the caller did not; else none."""
        if not self.lacks_usage:
            return {}
        asked = dict(self.document.get("stream_options") or {}, include_usage=True)
        asked.pop("continuous_usage_stats", None)  # without effect until now; must stay so
        return {"stream_options": asked}

    def encoded(self, extra: Mapping[str, Any]) -> bytes:
        """The bytes for the engine: the client's own with the members of `extra`, which win.

        Spliced in without encoding anything anew, unless a member has to be replaced or removed.
        """
        document = self.document
        if _RESERVED not in document and document.keys().isdisjoint(extra):
            return spliced(self.raw, extra)
        return orjson.dumps({**self.plain, **extra})


def parse(raw: bytes, endpoint: Endpoint, limits: Limits) -> RequestBody:
    """Read and check one body.

    Raises:
        InvalidRequest: With the field at fault as `param`.
    """
    document = read(raw, max_depth=limits.max_depth)
    model = _model(document)
    _check_members(document)
    n = _choices(document, limits.max_choices)
    media = _check_content(document, endpoint, limits.hosts(model))
    max_tokens = _first(document, _OUTPUT_LIMITS.get(endpoint, ()))
    options = document.get("stream_options") or {}
    prompt_tokens = max(1, (len(raw) - media.inline_bytes) // BYTES_PER_TOKEN + media.count * MEDIA_TOKENS)
    return RequestBody(
        endpoint=endpoint,
        raw=raw,
        document=document,
        model=model,
        stream=endpoint.streams and document.get("stream") is True,
        include_usage=bool(options.get("include_usage")),
        n=n,
        max_tokens=max_tokens,
        prompt_tokens=prompt_tokens,
        estimated_tokens=prompt_tokens + _completion_tokens(endpoint, document, n, max_tokens),
        affinity=affinity_of(endpoint, document),
    )


def _model(document: dict[str, Any]) -> str:
    model = document.get("model")
    if model is None or model == "":
        raise InvalidRequest("You must name a model; GET /v1/models lists them.", param="model")
    if type(model) is not str:
        raise _wrong_type("model", "a string", model)
    if len(model) > MAX_MODEL_CHARS or not model.isprintable():
        raise InvalidRequest(
            f"'model' must be at most {MAX_MODEL_CHARS} printable characters.", param="model"
        )
    return model


def _check_members(document: dict[str, Any]) -> None:
    for name, value in document.items():
        if name in _TYPES and value is not None:
            wanted, types = _TYPES[name]
            if type(value) not in types:
                raise _wrong_type(name, wanted, value)
        elif name in _REFUSED and value is not None:
            raise InvalidRequest(f"'{name}' is not accepted here: {_REFUSED[name]}.", param=name)
        elif name == _RESERVED and type(value) is not dict:
            raise _wrong_type(name, "an object", value)
    if (document.get("chat_template_kwargs") or {}).get("chat_template") is not None:
        reason = _REFUSED["chat_template"]
        raise InvalidRequest(
            f"'chat_template' is not accepted here: {reason}.", param="chat_template_kwargs.chat_template"
        )
    usage = (document.get("stream_options") or {}).get("include_usage")
    if usage is not None and type(usage) is not bool:
        raise _wrong_type("stream_options.include_usage", "a boolean", usage)


def _choices(document: dict[str, Any], most: int) -> int:
    for name in ("n", "best_of"):
        value = document.get(name)
        if value is not None and not 1 <= value <= most:
            raise InvalidRequest(f"'{name}' must be between 1 and {most}.", param=name)
    return document.get("n") or 1


def _check_content(document: dict[str, Any], endpoint: Endpoint, hosts: Collection[str] | None) -> Media:
    if endpoint is Endpoint.RESPONSES:
        return inspect_media(document.get("input"), "input", hosts)
    messages = document.get("messages")
    if endpoint in (Endpoint.CHAT_COMPLETIONS, Endpoint.MESSAGES, Endpoint.COUNT_TOKENS):
        if messages is None:
            raise InvalidRequest("Missing required parameter: 'messages'.", param="messages")
        if type(messages) is not list:
            raise _wrong_type("messages", "an array", messages)
        if not messages:
            raise InvalidRequest("'messages' must hold at least one message.", param="messages")
    # Embedding models of vLLM take messages too.
    return NONE if messages is None else inspect_media(messages, "messages", hosts)


def _completion_tokens(endpoint: Endpoint, document: dict[str, Any], n: int, max_tokens: int | None) -> int:
    if endpoint not in _OUTPUT_LIMITS:
        return 0
    answers = n
    prompts = document.get("prompt")
    if type(prompts) is list and prompts and type(prompts[0]) is not int:
        answers *= len(prompts)
    return answers * (DEFAULT_COMPLETION_TOKENS if max_tokens is None else max(0, max_tokens))


def _first(document: dict[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value: int | None = document.get(name)
        if value is not None:
            return value
    return None


def _wrong_type(name: str, wanted: str, value: object) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid type for '{name}': expected {wanted}, but got {kind_of(value)} instead.", param=name
    )
