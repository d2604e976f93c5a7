"""Tokens told and estimated."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.engines.providers.tally import Tally
from zoran_ray.wire import Usage

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**12) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "message", "content", "usage", "prompt_tokens", "tool_calls"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}}], **more}


def told(prompt: int, completion: int) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": prompt, "completion_tokens": completion}}


def tally(*documents: dict[str, Any]) -> Usage:
    made = Tally()
    for document in documents:
        made.came(document)
    return made.usage


def test_a_token_a_piece_and_more_for_long_ones() -> None:
    assert tally() == Usage()
    assert tally(said(""), said("a"), said("b")) == Usage(0, 2)
    assert tally(said("a" * 41)) == Usage(0, 11)
    assert tally(said("a"), {"choices": []}, {"choices": None}) == Usage(0, 1)


@pytest.mark.parametrize(
    "choice",
    [
        {"text": "12345678"},
        {"message": {"content": "12345678"}},
        {"delta": {"reasoning_content": "1234", "content": "5678"}},
        {
            "delta": {
                "content": None,
                "tool_calls": [{"function": {"name": "now", "arguments": '{"a"'}}, None],
            }
        },
    ],
)
def test_wherever_the_text_stands(choice: dict[str, Any]) -> None:
    assert tally({"choices": [choice, None]}) == Usage(0, 2)


def test_what_is_told_counts_and_only_what_came_later_is_added() -> None:
    assert tally(said("a" * 400), told(7, 5)) == Usage(7, 5)
    assert tally(said("x"), said("y", **told(7, 2)), said("z")) == Usage(7, 3)


@pytest.mark.parametrize(
    "counts", [told(0, 0), told(10**11, 1), told(-5, -5), {"usage": None}, {"usage": {}}]
)
def test_a_count_that_makes_no_sense_is_none(counts: dict[str, Any]) -> None:
    assert tally(said("a"), counts) == Usage(0, 1)


@given(st.lists(st.dictionaries(st.sampled_from(["choices", "usage"]), JSON, max_size=2), max_size=5))
def test_anything_can_be_counted(documents: list[Any]) -> None:
    usage = tally(told(3, 4), *documents)
    assert usage.prompt_tokens >= 0
    assert usage.completion_tokens >= 0
    assert usage.total_tokens > 0
