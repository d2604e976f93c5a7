"""What differs between providers that speak OpenAI's protocol. Facts, and one way to apply them to a body.

Knows bodies, but no connection. What a provider cannot do is refused before anything is sent, with the
parameter's name; never silently dropped. A member with a value that asks for nothing (null, `n: 1`, an
empty `logit_bias`) is no request for anything, and labels (`user`, `metadata`, …) ask nothing of an answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from zoran_ray.engines.providers import mistral
from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.wire import Endpoint

Body = dict[str, Any]

_CHAT, _TEXT, _EMBED = Endpoint.CHAT_COMPLETIONS, Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS
_OURS = frozenset({"zoran"})
"""Members for this gateway alone."""
_LABELS = frozenset({"metadata", "prompt_cache_key", "safety_identifier", "session_id", "user"})
"""Who asks, and what belongs together. The gateway itself has used them by now."""
_ASKS_NOTHING: Mapping[str, tuple[object, ...]] = {
    "best_of": (1,),
    "echo": (False,),
    "frequency_penalty": (0, 0.0),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "parallel_tool_calls": (True,),
    "presence_penalty": (0, 0.0),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "tool_choice": ("auto",),
    "top_logprobs": (0,),
}


def versioned(address: str, version: str) -> str:
    """The address as it is, or with the API's version behind it if it names a bare host."""
    _, _, behind = address.partition("://")
    return address if behind.strip("/").count("/") else f"{address.rstrip('/')}/{version}"


def _as_they_are(document: Body) -> Body:
    return document


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one provider's protocol differs from OpenAI's as the gateway's clients speak it.

    Attributes:
        name: In the catalogue, and what messages call the provider.
        base_url: Where it is; None if only the operator knows.
        key_variable: The environment variable its own clients read the key from; None if there is none.
        request_id_header: Where it takes a caller's request id.
        endpoints: What it serves.
        renamed: OpenAI's names of members and the provider's, by endpoint.
        lacking: Members it does not have, for a provider that refuses what it does not know.
        known: All members it reads, by endpoint, for a provider that ignores what it does not know.
        stream_options: Members of `stream_options` it reads, None for all.
        adapt: Fits the rest of a request's body, and may change it. Raises: InvalidRequest.
        restore: Makes an answer or chunk OpenAI's again: the same object if there was nothing to do.
    """

    name: str
    base_url: str | None = None
    key_variable: str | None = None
    request_id_header: str = "x-request-id"
    endpoints: frozenset[Endpoint] = frozenset({_CHAT, _TEXT, _EMBED})
    renamed: Mapping[Endpoint, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    lacking: frozenset[str] = frozenset()
    known: Mapping[Endpoint, frozenset[str]] | None = None
    stream_options: frozenset[str] | None = None
    adapt: Callable[[Endpoint, Body], Body] = lambda endpoint, body: body
    restore: Callable[[Body], Body] = _as_they_are

    def address(self, base_url: str | None = None) -> str:
        """The base URL: the configured one, if there is one. A bare host gets OpenAI's `/v1`.

        Raises:
            ConfigError: There is none.
        """
        address = base_url or self.base_url
        if address is None:
            raise ConfigError(
                f"Provider {self.name!r} needs a base_url, like http://host:8000/v1.", param="base_url"
            )
        return versioned(address, "v1")

    def body(self, endpoint: Endpoint, document: Mapping[str, Any], model: str) -> Body:
        """The body this provider gets for what a client sent, which stays as it is.

        Args:
            model: The provider's name of it.

        Raises:
            InvalidRequest: The provider cannot do what a parameter asks; `param` names it.
        """
        if endpoint not in self.endpoints:
            raise InvalidRequest(
                f"{self.name} does not serve {endpoint.path}. Choose another model.", param="model"
            )
        body = {name: value for name, value in document.items() if name not in _OURS}
        body["model"] = model
        self._rename(body, self.renamed.get(endpoint, {}))
        if endpoint.streams and body.get("stream") is True:
            self._ask_for_usage(body)
        for name in [name for name in body if self._lacks(endpoint, name)]:
            if not _asks_nothing(name, body.pop(name)):
                raise InvalidRequest(f"{self.name} does not support '{name}'.", param=name)
        return self.adapt(endpoint, body)

    def _rename(self, body: Body, names: Mapping[str, str]) -> None:
        for ours, theirs in names.items():
            if ours not in body:
                continue
            value = body.pop(ours)
            if value is None:
                continue
            if body.get(theirs, value) not in (value, None):
                raise InvalidRequest(
                    f"'{ours}' and '{theirs}' are the same to {self.name}. Send one.", param=ours
                )
            body[theirs] = value

    def _ask_for_usage(self, body: Body) -> None:
        asked = {
            name: value for name, value in (body.get("stream_options") or {}).items() if value is not None
        }
        if asked.get("include_usage") is not True:
            asked.pop("continuous_usage_stats", None)  # without effect until now; must stay so
        asked["include_usage"] = True
        if self.stream_options is not None:
            for name in asked.keys() - self.stream_options - {"include_usage"}:
                if asked.pop(name) is not False:
                    name = f"stream_options.{name}"
                    raise InvalidRequest(f"{self.name} does not support '{name}'.", param=name)
            if "include_usage" not in self.stream_options:
                # Such a provider tells the usage unasked.
                body.pop("stream_options", None)
                return
        body["stream_options"] = asked

    def _lacks(self, endpoint: Endpoint, name: str) -> bool:
        if self.known is not None:
            return name not in self.known.get(endpoint, frozenset())
        return name in self.lacking


def _asks_nothing(name: str, value: object) -> bool:
    if value is None or name in _LABELS:
        return True
    # By type too: `logprobs: 0` is not `logprobs: false`.
    return any(type(value) is type(idle) and value == idle for idle in _ASKS_NOTHING.get(name, ()))


def _developer_as_system(endpoint: Endpoint, body: Body) -> Body:
    """Ollama's prompt templates leave out messages of roles they do not know."""
    if isinstance(messages := body.get("messages"), list):
        body["messages"] = [
            {**each, "role": "system"}
            if isinstance(each, dict) and each.get("role") == "developer"
            else each
            for each in messages
        ]
    return body


OPENAI = Dialect(
    name="openai",
    base_url="https://api.openai.com/v1",
    key_variable="OPENAI_API_KEY",
    request_id_header="x-client-request-id",
    # Reasoning models refuse `max_tokens`; all chat models take its successor.
    renamed={_CHAT: {"max_tokens": "max_completion_tokens"}},
)
"""Source: developers.openai.com API reference, "Create chat completion" and "Debugging requests". What a
model of theirs does not take (temperature with a reasoning model, say) OpenAI itself refuses by name."""

MISTRAL = Dialect(
    name="mistral",
    base_url="https://api.mistral.ai/v1",
    key_variable="MISTRAL_API_KEY",
    endpoints=frozenset({_CHAT, _EMBED}),
    renamed={
        _CHAT: {"seed": "random_seed", "max_completion_tokens": "max_tokens"},
        _EMBED: {"dimensions": "output_dimension"},
    },
    lacking=frozenset(
        {
            "audio",
            "function_call",
            "functions",
            "logit_bias",
            "logprobs",
            "modalities",
            "safety_identifier",
            "service_tier",
            "session_id",
            "store",
            "top_logprobs",
            "user",
            "verbosity",
            "web_search_options",
        }
    ),
    stream_options=frozenset(),
    adapt=mistral.adapt,
    restore=mistral.restore,
)
"""Source: ChatCompletionRequest and EmbeddingRequest of docs.mistral.ai/api. Unknown members are answered
with 422 `extra_forbidden`, `stream_options.include_usage` too; a stream's last chunk has the usage."""

_OLLAMA_SAMPLING = frozenset(
    {
        "frequency_penalty",
        "logprobs",
        "max_tokens",
        "model",
        "presence_penalty",
        "seed",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
    }
)
OLLAMA = Dialect(
    name="ollama",
    base_url="http://127.0.0.1:11434/v1",
    renamed={_CHAT: {"max_completion_tokens": "max_tokens"}},
    adapt=_developer_as_system,
    known={
        _CHAT: _OLLAMA_SAMPLING
        | {"messages", "reasoning", "reasoning_effort", "response_format", "tools", "top_logprobs"},
        _TEXT: _OLLAMA_SAMPLING | {"prompt", "suffix"},
        _EMBED: frozenset({"dimensions", "encoding_format", "input", "model"}),
    },
    stream_options=frozenset({"include_usage"}),
)
"""Source: docs.ollama.com/api/openai-compatibility and the request types in Ollama's openai/openai.go:
whatever they do not have (`tool_choice`, `n`, `logit_bias`, `user`) is ignored there without a word."""

VLLM = Dialect(name="vllm")
"""A vLLM server elsewhere: the same protocol, with all of vLLM's own members."""

COMPATIBLE = Dialect(name="openai-compatible")
"""Any other server with this protocol; what it cannot do it has to say itself."""

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {dialect.name: dialect for dialect in (OPENAI, MISTRAL, OLLAMA, VLLM, COMPATIBLE)}
)
"""By the name of the provider in the catalogue."""
