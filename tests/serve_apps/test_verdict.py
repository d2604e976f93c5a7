"""Signs of a bad answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.gateway.verdict import BAD, CUT_SHORT, GOOD, implicit_score


def answer(content="42", finish="stop", **message):
    return {"choices": [{"message": {"content": content, **message}, "finish_reason": finish}]}


def call(arguments):
    return {"tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}


JSON = {"response_format": {"type": "json_object"}}
MUST = {"tool_choice": "required"}


@pytest.mark.parametrize(
    ("asked", "got", "score"),
    [
        ({}, answer(), GOOD),
        ({}, answer(""), BAD),
        ({}, {"choices": []}, BAD),
        ({}, {"choices": ["?"]}, BAD),
        ({}, answer(finish="length"), CUT_SHORT),
        ({"max_tokens": 3}, answer(finish="length"), GOOD),
        (JSON, answer('{"a": 1}'), GOOD),
        (JSON, answer('{"a": 1'), BAD),
        (MUST, answer("I would rather talk"), BAD),
        (MUST, answer(None, **call('{"x": 1}')), GOOD),
        ({}, answer(None, **call("{x}")), BAD),
        ({}, answer(None, **call("[1]")), BAD),
        ({}, {"choices": [{"text": "go on", "finish_reason": "stop"}]}, GOOD),
        ({}, {"content": [{"text": "of another dialect"}]}, GOOD),
        ({}, None, GOOD),
    ],
)
def test_signs(asked, got, score):
    assert implicit_score(asked, got) == score


def test_the_worst_choice_counts():
    two = {"choices": [*answer()["choices"], *answer("")["choices"]]}
    assert implicit_score({}, two) == BAD


FIELDS = ["choices", "message", "content", "tool_calls", "function", "arguments", "text", "finish_reason"]
ASKED = ["response_format", "tool_choice", "max_tokens"]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner),
    max_leaves=12,
)


@given(anything, st.dictionaries(st.sampled_from(ASKED), anything))
def test_whatever_comes_has_a_score(got, asked):
    assert implicit_score(asked, {"choices": got}) in (GOOD, CUT_SHORT, BAD)
