"""Good requests and answers one thing in them replaced: a translation or a typed error, nothing else."""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.providers import (
    fake_anthropic,
    fake_gemini,
    test_anthropic_answer,
    test_gemini_answer,
    test_gemini_stream,
)
from tests.engines.providers.openai_shapes import from_chunks, from_completion
from zoran_ray.engines.providers.anthropic_answer import anthropic_completion
from zoran_ray.engines.providers.anthropic_request import anthropic_body
from zoran_ray.engines.providers.anthropic_stream import AnthropicStream
from zoran_ray.engines.providers.gemini_answer import gemini_completion
from zoran_ray.engines.providers.gemini_embeddings import gemini_embeddings, gemini_embeddings_body
from zoran_ray.engines.providers.gemini_request import gemini_body
from zoran_ray.engines.providers.gemini_stream import GeminiStream
from zoran_ray.engines.providers.refusals import Refusals
from zoran_ray.errors import InvalidRequest, ProviderBusy, ProviderRefused, UpstreamError

Path = tuple[str | int, ...]

REPORTED = Refusals("Someone", None, lambda: 0.0).reported
FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "f", "arguments": "{}"},
    "extra_content": {"google": {"thought_signature": "c2ln"}},
}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln", "index": 0}
CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {
            "role": "assistant",
            "content": "Hm.",
            "refusal": None,
            "tool_calls": [CALL],
            "extra_content": {"anthropic": {"thinking_blocks": [THOUGHT]}},
        },
        {"role": "tool", "tool_call_id": "c1", "content": "x"},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "auto"}}
            ],
        },
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "parallel_tool_calls": True,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "description": "d", "schema": {"type": "object"}},
    },
    "stream": True,
    "stream_options": {"include_usage": True},
    "stop": ["END"],
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 5,
    "max_tokens": 5,
    "max_completion_tokens": 5,
    "reasoning_effort": "low",
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "user": "u",
}
EMBED = {"model": "m", "input": ["Hi"], "dimensions": 2, "encoding_format": "base64", "user": "u"}
EMBEDDED = {"embeddings": [{"values": [3, 4]}], "usageMetadata": {"promptTokenCount": 3}}

leaves = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1e300, 0.5, "", "x", "STOP", "low"])
)
values = leaves | st.lists(leaves, max_size=2) | st.dictionaries(st.sampled_from(["type", "text"]), leaves)


def paths(node: Any, here: Path = ()) -> Iterator[Path]:
    yield here
    pairs: Iterable[tuple[str | int, Any]] = ()
    if isinstance(node, dict):
        pairs = node.items()
    elif isinstance(node, list):
        pairs = enumerate(node)
    for name, value in pairs:
        yield from paths(value, (*here, name))


def replaced(node: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[path[0]] = replaced(node[path[0]], path[1:], value)
    return copy


def changed(*samples: Any) -> st.SearchStrategy[Any]:
    """One of the samples, with one thing in it replaced."""
    places = [(sample, path) for sample in samples for path in paths(sample)]
    return st.tuples(st.sampled_from(places), values).map(lambda drawn: replaced(*drawn[0], drawn[1]))


@contextlib.contextmanager
def provider_at_fault() -> Iterator[None]:
    with contextlib.suppress(UpstreamError, ProviderBusy, ProviderRefused, InvalidRequest):
        yield


def test_the_samples_are_good() -> None:
    assert anthropic_body(CHAT, "model")["messages"]
    assert gemini_body(CHAT, "model")["contents"]
    assert gemini_embeddings(EMBEDDED, EMBED, "model")["data"]
    assert gemini_embeddings_body(EMBED, "model")["requests"]


@given(changed(CHAT), st.sampled_from(["gemini-2.5-pro", "gemini-3-flash"]))
def test_chat_requests(document: Any, model: str) -> None:
    if not isinstance(document, dict):
        return  # the gateway lets nothing but objects pass
    for translate in (anthropic_body, gemini_body):
        with contextlib.suppress(InvalidRequest):
            orjson.dumps(translate(document, model))


@given(changed(EMBED), changed(EMBEDDED))
def test_embeddings(document: Any, answer: Any) -> None:
    if isinstance(document, dict):
        with contextlib.suppress(InvalidRequest):
            orjson.dumps(gemini_embeddings_body(document, "model"))
    with provider_at_fault():
        orjson.dumps(gemini_embeddings(answer, EMBED, "model"))


@given(changed(*test_anthropic_answer.ANSWERS.values()), changed(*test_gemini_answer.ANSWERS.values()))
def test_answers(anthropics: Any, geminis: Any) -> None:
    with provider_at_fault():
        from_completion(anthropic_completion(anthropics, 5))
    with provider_at_fault():
        from_completion(gemini_completion(geminis, "model", 5))


def told(feed: Callable[[Any], list[Any]], close: Callable[[], list[Any]], events: Any) -> None:
    # What a model writes as arguments is its own affair.
    with provider_at_fault(), contextlib.suppress(json.JSONDecodeError):
        if isinstance(events, list):
            from_chunks([chunk for event in events for chunk in feed(event)] + close())


@given(changed(*(fake_anthropic.events(each, (3,)) for each in test_anthropic_answer.ANSWERS.values())))
def test_anthropics_streams(events: Any) -> None:
    stream = AnthropicStream(5, REPORTED)
    told(stream.feed, stream.close, events)


@given(
    changed(
        *(test_gemini_stream.events(each, [3]) for each in test_gemini_answer.ANSWERS.values()),
        [fake_gemini.error(503, "UNAVAILABLE")],
    )
)
def test_geminis_streams(events: Any) -> None:
    stream = GeminiStream("model", 5, REPORTED)
    told(stream.feed, stream.close, events)
