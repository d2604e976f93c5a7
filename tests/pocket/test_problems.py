"""The laws of the curriculum: exact answers, a clean split, honest other text."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.pocket.exam import TASKS, Task, exam, other_exam
from zoran_ray.pocket.other import OTHER_ANSWER, arithmetic_beyond, other_text
from zoran_ray.pocket.problems import (
    LARGEST_OPERAND,
    PHRASINGS,
    Operator,
    Problem,
    is_held_out,
    phrase,
    sample_problem,
)
from zoran_ray.pocket.turns import Mixture, sample_turn

OPERANDS = st.integers(0, LARGEST_OPERAND)
OPERATORS: st.SearchStrategy[Operator] = st.sampled_from(("+", "-"))


@given(OPERANDS, OPERATORS, OPERANDS)
def test_the_split_does_not_see_the_order_of_the_operands(a: int, operator: Operator, b: int) -> None:
    assert is_held_out(Problem(a, operator, b)) == is_held_out(Problem(b, operator, a))


@given(st.integers(0, 2**32))
def test_no_lesson_is_an_exam_question(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        problem = sample_problem(rng, two_digit_share=0.3)
        assert not is_held_out(problem)
        assert 0 <= problem.a <= LARGEST_OPERAND
        assert 0 <= problem.b <= LARGEST_OPERAND


@given(st.integers(0, 9), OPERATORS, st.integers(0, 9))
def test_the_table_of_one_digit_numbers_is_all_taught(a: int, operator: Operator, b: int) -> None:
    assert not is_held_out(Problem(a, operator, b))


@given(st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_lessons(seed: int) -> None:
    first, second = random.Random(seed), random.Random(seed)
    mixture = Mixture(bare_share=0.3, other_share=0.3, beyond_share=0.1, two_digit_share=0.2)
    for _ in range(5):
        assert sample_turn(first, mixture) == sample_turn(second, mixture)


def test_the_split_is_frozen() -> None:
    """A change here makes every published accuracy worthless: the weights have seen other lessons."""
    numbers = range(10, 100)
    counts = {
        operator: sum(is_held_out(Problem(a, operator, b)) for a in numbers for b in numbers)
        for operator in PHRASINGS
    }
    assert counts == {"+": 1051, "-": 979}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_exam_questions_are_distinct_held_out_and_exact(task: Task) -> None:
    turns = exam(task, 300, seed=1)
    assert len({turn.question for turn in turns}) == 300
    for turn in turns:
        first, second = (int(number) for number in re.findall(r"\d+", turn.question))
        operator = task.operator
        a, b = (second, first) if "ubtract" in turn.question else (first, second)
        assert is_held_out(Problem(a, operator, b))
        assert turn.answer == str(a + b if operator == "+" else a - b)


def test_the_first_phrasing_is_bare() -> None:
    for operator, phrasings in PHRASINGS.items():
        assert phrase(Problem(17, operator, 25), phrasings[0]) == f"17{operator}25"


@given(st.integers(0, 2**32))
def test_other_text_is_never_a_sum_in_range(seed: int) -> None:
    rng = random.Random(seed)
    for text in (other_text(rng), arithmetic_beyond(rng)):
        assert re.fullmatch(r"\s*\d{1,3}\s*[+-]\s*\d{1,3}\s*[=?. ]*", text) is None
        assert "<|" not in text


def test_other_exam_wants_the_honest_sentence() -> None:
    assert {turn.answer for turn in other_exam(50, seed=1)} == {OTHER_ANSWER}
