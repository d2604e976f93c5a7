from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.reasoning.answers import final_answer, last_number, only_number, vote


@pytest.mark.parametrize(
    ("text", "thought", "answer", "marked"),
    [
        ("Well.\nAnswer: 5", "Well.", "5", True),
        ("Answer: 4? No.\n**Answer:** 5.", "Answer: 4? No.", "5.", True),
        ("ANSWER: yes", "", "yes", True),
        ("İİ answer: x", "İİ", "x", True),
        (" 5 ", "", "5", False),
        ("Answer:", "", "", True),
        ("So.\n**Answer:** ```python\nx = 1\n```\n", "So.", "```python\nx = 1\n```", True),
        ("Answer:\n```\nx\n```**", "", "```\nx\n```", True),
        ("Answer: `5`", "", "5", True),
        ("Answer: ```5```", "", "5", True),
    ],
)
def test_the_answer_is_what_stands_behind_the_last_marker(
    text: str, thought: str, answer: str, marked: bool
) -> None:
    assert final_answer(text) == (thought, answer, marked)


def test_without_a_marker_everything_is_answer() -> None:
    assert final_answer("Answer: 5", "") == ("", "Answer: 5", True)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("42", 42), ("It is $1,234.50.", Fraction("1234.5")), ("-7", -7), ("−7", -7), ("10-5", 5),
        ("x = -5", -5),
        ("3/4", Fraction(3, 4)), ("6.02e3", 6020), ("1e999999999", 999999999), (".5", Fraction(1, 2)),
        ("1/0", None), ("no number", None), ("", None), ("12 of 30", 30), ("(-3)", -3), ("1,23", 23),
    ],
)  # fmt: skip
def test_the_last_number(text: str, number: Fraction | int | None) -> None:
    if "e9999" in text:
        assert last_number(text) is not None  # what counts is that it comes to an end
        return
    assert last_number(text) == number


@given(st.integers(-(10**12), 10**12))
def test_numbers_are_the_same_however_they_are_written(number: int) -> None:
    for text in (str(number), f"{number:,}", f"{number}.0", f" **{number}**. "):
        assert last_number(text) == only_number(text) == number
        assert vote(text) == str(number)


@given(st.text(max_size=300), st.sampled_from(["auto", "number", "text"]))
def test_any_text_can_be_voted_on(text: str, form: str) -> None:
    key = vote(text, form)  # type: ignore[arg-type]
    assert key is None or key


def test_texts_are_the_same_but_for_case_and_punctuation() -> None:
    assert vote("Yes.") == vote(" YES!") == vote("**yes**") == "yes"
    assert vote("42 apples") == "42 apples"
    assert vote("42 apples", "number") == "42"
    assert vote("apples", "number") is None
    assert vote("007", "text") == "007"
    assert vote("  ") is None
