from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.engines.providers.parameters import JsonFormat, Parameters
from zoran_ray.errors import InvalidRequest


def asked(**document: Any) -> Parameters:
    return Parameters(document, "Someone")


def refused(parameters: Parameters) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        parameters.refuse_rest()
    return raised.value


@given(st.text(min_size=1, max_size=200), st.one_of(st.integers(), st.text(min_size=1), st.just({"a": 1})))
def test_what_nobody_takes_is_refused_by_name(name: str, value: Any) -> None:
    known = {"model", "stream", "zoran", "stream_options", "n", "top_logprobs", "service_tier", "verbosity"}
    parameters = Parameters({name: value}, "Someone")
    if name in known or name in ("metadata", "user"):
        return
    error = refused(parameters)
    assert error.param == (name if name.isprintable() and len(name) <= 128 else "…")
    assert "Someone" in error.message
    parameters.take(name)
    parameters.refuse_rest()


@pytest.mark.parametrize(
    "document",
    [
        {"model": "m", "stream": True, "zoran": {"arms": []}},
        {"user": "u", "metadata": {}, "safety_identifier": "s", "prompt_cache_key": "k"},
        {"n": 1, "best_of": 1, "logprobs": False, "top_logprobs": 0, "logit_bias": {}, "tools": []},
        {"frequency_penalty": 0, "presence_penalty": 0.0, "parallel_tool_calls": True, "store": False},
        {"modalities": ["text"], "service_tier": "auto", "verbosity": "medium"},
        {"seed": None, "anything": None},
        {"stream_options": {"include_usage": True, "include_obfuscation": True}},
        {"stream_options": {"continuous_usage_stats": False}},
    ],
)
def test_what_asks_for_nothing_passes(document: dict[str, Any]) -> None:
    Parameters(document, "Someone").refuse_rest()


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"frequency_penalty": 0.1}, "frequency_penalty"),
        ({"store": True}, "store"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"cache_salt": "s"}, "cache_salt"),
        ({"stream_options": {"continuous_usage_stats": True}}, "stream_options.continuous_usage_stats"),
        ({"stream_options": 1}, "stream_options"),
    ],
)
def test_what_asks_for_something_is_refused(document: dict[str, Any], param: str) -> None:
    assert refused(Parameters(document, "Someone")).param == param


def test_values() -> None:
    parameters = asked(temperature=1, seed=-3, logprobs=True, reasoning_effort="low")
    assert parameters.number("temperature", 0, 2) == 1.0
    assert parameters.integer("seed", -10) == -3
    assert parameters.flag("logprobs") is True
    assert parameters.effort() == "low"
    assert parameters.number("top_p", 0, 1) is None
    assert parameters.integer("n", 1) is None
    assert asked().effort() is None
    parameters.refuse_rest()


@pytest.mark.parametrize(
    ("document", "limit"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 7}, 7),
        ({"max_tokens": 5, "max_completion_tokens": 7}, 7),
    ],
)
def test_the_newer_name_of_the_output_limit_wins(document: dict[str, Any], limit: int | None) -> None:
    parameters = Parameters(document, "Someone")
    assert parameters.output_limit() == limit
    parameters.refuse_rest()


@pytest.mark.parametrize(
    ("given_stops", "stops"), [(None, []), ("", []), ("a", ["a"]), (["a", "b"], ["a", "b"])]
)
def test_stops(given_stops: Any, stops: list[str]) -> None:
    assert asked(stop=given_stops).stops() == stops


@pytest.mark.parametrize(("top_k", "taken"), [(-1, None), (0, None), (40, 40)])
def test_top_k(top_k: int, taken: int | None) -> None:
    assert asked(top_k=top_k).top_k() == taken


@pytest.mark.parametrize(
    ("response_format", "taken"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, JsonFormat(None)),
        ({"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}}}, JsonFormat({"a": 1})),
        (
            {"type": "json_schema", "json_schema": {"description": "d", "schema": {"a": 1}}},
            JsonFormat({"description": "d", "a": 1}),
        ),
    ],
)
def test_json_format(response_format: Any, taken: JsonFormat | None) -> None:
    assert asked(response_format=response_format).json_format() == taken


@pytest.mark.parametrize(
    ("read", "document"),
    [
        (lambda p: p.number("temperature", 0, 1), {"temperature": "hot"}),
        (lambda p: p.number("temperature", 0, 1), {"temperature": True}),
        (lambda p: p.number("temperature", 0, 1), {"temperature": 1.5}),
        (lambda p: p.integer("seed", 0), {"seed": 1.5}),
        (lambda p: p.integer("seed", 0), {"seed": -1}),
        (lambda p: p.integer("seed", 0), {"seed": True}),
        (lambda p: p.flag("logprobs"), {"logprobs": 1}),
        (lambda p: p.output_limit(), {"max_tokens": 0}),
        (lambda p: p.stops(), {"stop": 5}),
        (lambda p: p.stops(), {"stop": ["a", 5]}),
        (lambda p: p.stops(2), {"stop": ["a", "b", "c"]}),
        (lambda p: p.effort(), {"reasoning_effort": "some"}),
        (lambda p: p.effort(), {"reasoning_effort": ["low"]}),
    ],
)
def test_values_of_the_wrong_kind_name_their_parameter(read: Any, document: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read(Parameters(document, "Someone"))
    assert raised.value.param == next(iter(document))


@pytest.mark.parametrize(
    ("response_format", "param"),
    [
        ("json", "response_format.type"),
        ({"type": "grammar"}, "response_format.type"),
        ({"type": "json_schema"}, "response_format.json_schema.schema"),
        ({"type": "json_schema", "json_schema": {"name": "n"}}, "response_format.json_schema.schema"),
    ],
)
def test_formats_that_are_none(response_format: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        asked(response_format=response_format).json_format()
    assert raised.value.param == param
