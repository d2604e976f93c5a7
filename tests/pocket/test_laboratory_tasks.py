"""The laboratory's tasks: exact checks, a clean split, prompts that strategies send."""

import random
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.reasoning.pocket.mixture import SHARES, lessons
from benchmarks.reasoning.tasks import TASKS
from benchmarks.reasoning.tasks.countdown import judgement, key_of
from benchmarks.reasoning.tasks.game24 import good_moves, moves, played, solution, solvable, values_of
from benchmarks.reasoning.tasks.implications import read, thought
from benchmarks.reasoning.tasks.retries import SECRET
from benchmarks.reasoning.tasks.task import Lesson, Task, drawn, held_out_instances, is_held_out, judged
from zoran_ray.reasoning.answers import final_answer
from zoran_ray.reasoning.countdown import Countdown
from zoran_ray.reasoning.logic import extend
from zoran_ray.reasoning.lot_text import EXTRACT, read_logic
from zoran_ray.reasoning.prompting import question_of
from zoran_ray.reasoning.tree import value_of
from zoran_ray.reasoning.verifiers import verifier_of

LEVELS = [(task, level) for task in TASKS.values() for level in range(1, task.levels + 1)]
NAMES = [f"{task.name}-{level}" for task, level in LEVELS]


def taught(task: Task, level: int, count: int, seed: int) -> Iterator[Lesson]:
    rng = random.Random(seed)
    for _ in range(count):
        yield from task.lessons(drawn(task, rng, level, held_out=False), rng)


@pytest.mark.parametrize(("task", "level"), LEVELS, ids=NAMES)
def test_what_is_taught_passes_its_own_checks(task: Task, level: int) -> None:
    found = list(taught(task, level, 8, seed=level))
    assert found
    for lesson in found:
        assert lesson.said
        assert {what: check(lesson.said) for what, check in lesson.checks.items() if what != "good"} == {
            what: True for what in lesson.checks if what != "good"
        }


@pytest.mark.parametrize(("task", "level"), LEVELS, ids=NAMES)
def test_nonsense_passes_no_check(task: Task, level: int) -> None:
    for lesson in taught(task, level, 3, seed=level):
        for what, check in lesson.checks.items():
            if what not in ("hope", "other"):
                assert not check("I do not know."), lesson.kind
                assert not check(""), lesson.kind


@pytest.mark.parametrize(("task", "level"), LEVELS, ids=NAMES)
def test_the_exam_has_distinct_instances_that_can_be_judged(task: Task, level: int) -> None:
    found = held_out_instances(task, level, 20, seed=1)
    assert found == held_out_instances(task, level, 20, seed=1)
    assert len({each.key for each in found}) == len(found) == 20
    for each in found:
        assert is_held_out(each.key)
        verifier_of(each.verifier)


@pytest.mark.parametrize(("task", "level"), LEVELS, ids=NAMES)
def test_no_lesson_is_about_an_instance_of_the_exam(task: Task, level: int) -> None:
    rng = random.Random(level)
    exam = {str((each.question, each.verifier)) for each in held_out_instances(task, level, 50, seed=1)}
    for _ in range(25):
        instance = drawn(task, rng, level, held_out=False)
        assert not is_held_out(instance.key)
        assert str((instance.question, instance.verifier)) not in exam


def countdown_states(lesson: Lesson) -> Iterator[tuple[tuple[int, ...], int]]:
    """The puzzles in a lesson's last question; of whole numbers, as `Countdown.of` reads them."""
    asked = question_of(lesson.messages)
    secret = "The target is secret" in asked
    if (
        lesson.kind.startswith(("countdown", "retries"))
        and "/" not in asked.partition("Target")[0]
        and not secret
    ):
        puzzle = Countdown.of([{"role": "user", "content": asked.partition("\n\n")[0]}])
        yield puzzle.numbers, puzzle.target


def test_no_state_of_three_numbers_is_taught_and_examined() -> None:
    """However it was reached: in a puzzle of its own, as part of another, in a reflection."""
    seen = 0
    exam = {each.question for task, level in LEVELS for each in held_out_instances(task, level, 30, seed=1)}
    exam = {question for question in exam if "secret" not in question}
    for lesson in islice(lessons(random.Random(7)), 1500):
        assert question_of(lesson.messages).partition("\n\n")[0] not in exam
        for numbers, target in countdown_states(lesson):
            if len(numbers) > 2:
                seen += 1
                assert not is_held_out(key_of(numbers, target))
    assert seen > 500


def test_every_level_is_in_the_mixture() -> None:
    assert set(SHARES) == {(task.name, level) for task, level in LEVELS}
    assert sum(SHARES.values()) == pytest.approx(1)


def test_the_split_is_frozen() -> None:
    """A change here makes every published figure worthless: models have seen other lessons."""
    numbers = range(1, 14)
    triples = [(a, b, c) for a in numbers for b in numbers for c in numbers if a <= b <= c]
    held = [is_held_out(key_of(each, 24)) for each in triples]
    assert (sum(held), len(held)) == (53, 455)


@given(st.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_the_same_seed_gives_the_same_lessons(seed: int) -> None:
    first, second = (
        [(each.kind, each.messages, each.said) for each in islice(lessons(random.Random(seed)), 8)]
        for _ in range(2)
    )
    assert first == second


@given(st.lists(st.integers(1, 13), min_size=2, max_size=3), st.integers(1, 40))
@settings(deadline=None)
def test_a_good_move_leaves_a_way_and_other_moves_none(numbers: list[int], target: int) -> None:
    puzzle = Countdown(tuple(numbers), target)
    state, values = puzzle.start(), tuple(sorted(map(Fraction, numbers)))
    good = set(good_moves(state, target))
    assert bool(good) is solvable(values, target)
    for text, _, left in moves(values):
        after = played(puzzle, state, text)
        assert values_of(after) == left
        assert (text in good) is solvable(left, target)


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_solutions_are_right(seed: int) -> None:
    rng = random.Random(seed)
    instance = TASKS["countdown"].draw(rng, rng.randint(1, 2))
    puzzle = Countdown.of(instance.messages)
    answer = puzzle.answer(solution(puzzle, rng)[-1])
    assert answer is not None
    assert judged(verifier_of(instance.verifier), answer)


def test_known_puzzles() -> None:
    assert solvable(tuple(map(Fraction, (1, 5, 5, 5))), 24)  # 5 * (5 - 1 / 5)
    assert not solvable(tuple(map(Fraction, (1, 1, 1, 1))), 24)


def test_judgements_say_what_is_so() -> None:
    two, three = (Fraction(4), Fraction(6)), (Fraction(1), Fraction(4), Fraction(6))
    assert judgement(two, 24) == "4 + 6 = 10, 6 - 4 = 2, 4 * 6 = 24 sure"
    assert judgement(two, 25).endswith("impossible")
    assert (
        judgement((Fraction(3), Fraction(12)), 4) == "3 + 12 = 15, 12 - 3 = 9, 3 * 12 = 36, 12 / 3 = 4 sure"
    )
    assert judgement((Fraction(5), Fraction(12)), 4) == "5 + 12 = 17, 12 - 5 = 7, 5 * 12 = 60 impossible"
    assert judgement(three, 24) == "likely"
    assert judgement(three, 999) == "impossible"
    assert [value_of(judgement(two, 24)), value_of(judgement(three, 999))] == [20.0, 0.001]


@given(st.integers(0, 2**32), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_logic_settles_what_is_asked_and_so_does_the_thought(seed: int, level: int) -> None:
    rng = random.Random(seed)
    instance = TASKS["implications"].draw(rng, level)
    logic = next(
        read_logic(each.said)
        for each in TASKS["implications"].lessons(instance, rng)
        if EXTRACT in question_of(each.messages)
    )
    rules, facts, asked = read(instance.question)
    symbol = next(letter for letter, said in logic.statements.items() if said == asked)
    found = [each.rule.then for each in extend(logic.rules).derived if not each.rule.given]
    (so,) = [literal for literal in found if literal.symbol == symbol]
    assert so.positive is (instance.verifier["expected"] == "yes")
    last = thought(rules, facts, asked).splitlines()[-1]
    assert last.removeprefix("so ") == (asked if so.positive else f"not {asked}")


def test_the_answer_is_yes_as_often_as_no() -> None:
    rng = random.Random(5)
    said = [TASKS["implications"].draw(rng, 2).verifier["expected"] for _ in range(400)]
    assert 160 < said.count("yes") < 240


def test_a_retry_begins_otherwise_and_is_never_shown_the_solution() -> None:
    for level in (1, SECRET):
        for lesson in taught(TASKS["retries"], level, 20, seed=3):
            asked = question_of(lesson.messages)
            if lesson.kind == "retries.again":
                assert final_answer(lesson.said)[1] not in asked
                assert "The first move was" in asked
            elif lesson.kind == "retries.reflection":
                says = "The expression makes" if "It makes" in lesson.said else "Every number"
                assert f"The judge says: {says}" in asked


def test_a_secret_target_is_told_by_verdicts_alone() -> None:
    for lesson in taught(TASKS["retries"], SECRET, 20, seed=4):
        asked = question_of(lesson.messages)
        question, _, rest = asked.partition("\n\n")
        assert question.endswith("The target is secret.")
        if lesson.kind == "retries.blind":
            assert "not" not in rest.removesuffix("holds nothing but the answer.")
        else:
            assert ", not " in rest or "The judge says: Every number" in rest or "makes" not in rest


def test_what_failed_is_remembered_up_to_three_times() -> None:
    said = {
        question_of(lesson.messages).count("The first move was")
        for lesson in taught(TASKS["retries"], 1, 40, seed=5)
        if lesson.kind == "retries.again"
    }
    assert said == {1, 2, 3}


def test_moves_are_listed_each_once_and_all_are_legal() -> None:
    for lesson in taught(TASKS["countdown"], 2, 20, seed=6):
        if lesson.kind == "countdown.move":
            lines = lesson.said.splitlines()
            assert 1 <= len(lines) == len(set(lines)) <= 3
            assert lesson.checks["legal"](lesson.said)
            assert not lesson.checks["legal"](f"{lesson.said}\n1 + 1 = 3 (left: 3)")
