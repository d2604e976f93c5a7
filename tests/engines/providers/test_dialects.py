import contextlib
from typing import Any

import pytest

from tests.engines.providers.speeches import MISTRAL_READS
from zoran_ray.engines.providers.dialects import (
    COMPATIBLE,
    DIALECTS,
    MISTRAL,
    OLLAMA,
    OPENAI,
    VLLM,
    Dialect,
)
from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.wire import Endpoint

CHAT, TEXTS, EMBED = Endpoint.CHAT_COMPLETIONS, Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS
HELLO = [{"role": "user", "content": "Hello"}]


def chat(dialect: Dialect, **members: Any) -> dict[str, Any]:
    """What the provider gets, less model and messages."""
    body = dialect.body(CHAT, {"model": "ours", "messages": HELLO, **members}, "theirs")
    assert body.pop("model") == "theirs"
    assert body.pop("messages") == HELLO
    return body


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_our_own_member_stays_here_and_the_document_unchanged(dialect: Dialect) -> None:
    document = {"model": "ours", "messages": HELLO, "stream": True, "zoran": {"max_usd": 1}, "seed": 3}
    before = {**document}
    body = dialect.body(CHAT, document, "theirs")
    assert "zoran" not in body
    assert document == before


@pytest.mark.parametrize("dialect", [OPENAI, VLLM, COMPATIBLE], ids=lambda dialect: dialect.name)
def test_what_is_not_known_to_differ_passes(dialect: Dialect) -> None:
    members = {
        "logit_bias": {"7": -100},
        "top_k": 40,
        "x_new": [1],
        "tool_choice": "required",
        "stop": None,
    }
    assert chat(dialect, **members) == members


@pytest.mark.parametrize("dialect", [OPENAI, VLLM, COMPATIBLE, OLLAMA], ids=lambda dialect: dialect.name)
def test_a_stream_is_asked_for_its_usage(dialect: Dialect) -> None:
    wanted = {"stream": True, "stream_options": {"include_usage": True}}
    for options in ({}, {"stream_options": None}, {"stream_options": {"include_usage": False}}, wanted):
        assert chat(dialect, **{"stream": True, **options}) == wanted
    assert chat(dialect, stream=False) == {"stream": False}


def test_other_stream_options_stay() -> None:
    options = {"include_obfuscation": False}
    sent = chat(OPENAI, stream=True, stream_options=options)["stream_options"]
    assert sent == {"include_obfuscation": False, "include_usage": True}


def test_usage_with_every_chunk_is_not_switched_on_by_our_asking() -> None:
    sent = chat(VLLM, stream=True, stream_options={"continuous_usage_stats": True})["stream_options"]
    assert sent == {"include_usage": True}
    both = {"continuous_usage_stats": True, "include_usage": True}
    assert chat(VLLM, stream=True, stream_options=both)["stream_options"] == both


def test_mistral_tells_its_usage_unasked() -> None:
    for options in ({}, {"stream_options": {"include_usage": True}}):
        assert chat(MISTRAL, stream=True, **options) == {"stream": True}


@pytest.mark.parametrize("dialect", [MISTRAL, OLLAMA], ids=lambda dialect: dialect.name)
def test_stream_options_that_are_not_there_are_refused(dialect: Dialect) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat(dialect, stream=True, stream_options={"include_obfuscation": True})
    assert caught.value.param == "stream_options.include_obfuscation"


@pytest.mark.parametrize(
    ("dialect", "endpoint", "ours", "theirs"),
    [
        (OPENAI, CHAT, {"max_tokens": 5}, {"max_completion_tokens": 5}),
        (OPENAI, CHAT, {"max_tokens": 5, "max_completion_tokens": 5}, {"max_completion_tokens": 5}),
        (OPENAI, CHAT, {"max_tokens": None, "max_completion_tokens": 5}, {"max_completion_tokens": 5}),
        (OPENAI, TEXTS, {"max_tokens": 5}, {"max_tokens": 5}),
        (MISTRAL, CHAT, {"seed": 3, "max_completion_tokens": 5}, {"random_seed": 3, "max_tokens": 5}),
        (MISTRAL, CHAT, {"tool_choice": "required"}, {"tool_choice": "any"}),
        (MISTRAL, CHAT, {"tool_choice": "none", "n": 2}, {"tool_choice": "none", "n": 2}),
        (MISTRAL, EMBED, {"input": "x", "dimensions": 64}, {"input": "x", "output_dimension": 64}),
        (OLLAMA, CHAT, {"max_completion_tokens": 5, "seed": 3}, {"max_tokens": 5, "seed": 3}),
        (OLLAMA, TEXTS, {"prompt": "x", "suffix": "y"}, {"prompt": "x", "suffix": "y"}),
    ],
)
def test_members_get_the_providers_names(
    dialect: Dialect, endpoint: Endpoint, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    assert dialect.body(endpoint, ours, "m") == theirs | {"model": "m"}


def test_two_names_for_one_thing_must_agree() -> None:
    with pytest.raises(InvalidRequest, match="Send one") as caught:
        chat(OPENAI, max_tokens=5, max_completion_tokens=6)
    assert caught.value.param == "max_tokens"


@pytest.mark.parametrize(
    ("dialect", "name", "value"),
    [
        (MISTRAL, "logit_bias", {"7": 1}),
        (MISTRAL, "logprobs", True),
        (MISTRAL, "top_logprobs", 3),
        (MISTRAL, "service_tier", "flex"),
        (MISTRAL, "store", True),
        (MISTRAL, "modalities", ["text", "audio"]),
        (OLLAMA, "tool_choice", "required"),
        (OLLAMA, "tool_choice", {"type": "function", "function": {"name": "f"}}),
        (OLLAMA, "parallel_tool_calls", False),
        (OLLAMA, "logit_bias", {"7": 1}),
        (OLLAMA, "n", 2),
        (OLLAMA, "prediction", {"type": "content", "content": "x"}),
        (OLLAMA, "top_k", 40),
    ],
)
def test_what_a_provider_cannot_do_is_refused_by_name(dialect: Dialect, name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=f"{dialect.name} does not support '{name}'") as caught:
        chat(dialect, **{name: value})
    assert caught.value.param == name


@pytest.mark.parametrize("dialect", [MISTRAL, OLLAMA], ids=lambda dialect: dialect.name)
def test_what_asks_for_nothing_is_no_reason_to_refuse(dialect: Dialect) -> None:
    idle = {"logit_bias": {}, "service_tier": "auto", "store": False, "user": "u-1", "session_id": "s"}
    nothing = {"web_search_options": None, "logit_bias": None, "modalities": ["text"], "audio": None}
    assert chat(dialect, **{**idle, **nothing}) == {}


def test_false_and_zero_are_not_the_same() -> None:
    assert chat(MISTRAL, logprobs=False) == {}
    with pytest.raises(InvalidRequest):
        chat(MISTRAL, logprobs=0)


def test_all_that_openai_has_is_fit_for_mistral_or_refused() -> None:
    """Mistral answers 422 to what it does not know; nothing from OpenAI's own description gets so far."""
    members: dict[str, Any] = {
        "audio": {"voice": "x"}, "frequency_penalty": 0.1, "logit_bias": {"1": 1}, "logprobs": True,
        "max_completion_tokens": 9, "metadata": {"a": "b"}, "modalities": ["text", "audio"], "n": 2,
        "parallel_tool_calls": False, "prediction": {}, "presence_penalty": 0.1, "prompt_cache_key": "k",
        "reasoning_effort": "high", "response_format": {"type": "text"}, "safety_identifier": "s",
        "service_tier": "flex", "stop": ["x"], "store": True, "stream_options": {"include_usage": True},
        "temperature": 0.5, "tool_choice": "required", "tools": [], "top_logprobs": 2, "top_p": 0.5,
        "seed": 1, "user": "u", "verbosity": "low", "web_search_options": {},
        "function_call": "auto", "functions": [],
    }  # fmt: skip
    for name, value in members.items():
        with contextlib.suppress(InvalidRequest):
            assert chat(MISTRAL, stream=True, **{name: value}).keys() <= MISTRAL_READS, name


@pytest.mark.parametrize(
    ("dialect", "endpoint"), [(MISTRAL, TEXTS), (OLLAMA, Endpoint.RESPONSES), (OPENAI, Endpoint.MESSAGES)]
)
def test_an_endpoint_that_is_not_there_is_refused(dialect: Dialect, endpoint: Endpoint) -> None:
    with pytest.raises(InvalidRequest, match="does not serve") as caught:
        dialect.body(endpoint, {"prompt": "x"}, "m")
    assert caught.value.param == "model"


@pytest.mark.parametrize("dialect", [MISTRAL, OLLAMA], ids=lambda dialect: dialect.name)
def test_a_developers_message_is_a_systems(dialect: Dialect) -> None:
    messages = [{"role": "developer", "content": "Be brief."}, *HELLO]
    sent = dialect.body(CHAT, {"messages": messages}, "m")["messages"]
    assert [each["role"] for each in sent] == ["system", "user"]
    assert messages[0]["role"] == "developer"


@pytest.mark.parametrize(
    ("dialect", "configured", "address"),
    [
        (OPENAI, None, "https://api.openai.com/v1"),
        (OLLAMA, None, "http://127.0.0.1:11434/v1"),
        (OLLAMA, "http://gpu-box:11434", "http://gpu-box:11434/v1"),
        (VLLM, "http://gpu-box:8000/", "http://gpu-box:8000/v1"),
        (COMPATIBLE, "https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1"),
        (COMPATIBLE, "https://example.com/v1/", "https://example.com/v1/"),
    ],
)
def test_where_a_provider_is(dialect: Dialect, configured: str | None, address: str) -> None:
    assert dialect.address(configured) == address


@pytest.mark.parametrize("dialect", [VLLM, COMPATIBLE], ids=lambda dialect: dialect.name)
def test_where_only_the_operator_knows_it_has_to_be_told(dialect: Dialect) -> None:
    with pytest.raises(ConfigError, match="needs a base_url"):
        dialect.address()
