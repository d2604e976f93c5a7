import re
from collections import Counter
from fractions import Fraction
from functools import cache
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasoning_scripted import Scripted, as_text, asking, question, run

from zoran_ray.errors import InvalidRequest
from zoran_ray.reasoning.budget import Budget
from zoran_ray.reasoning.countdown import Countdown
from zoran_ray.reasoning.text_problem import TextProblem
from zoran_ray.reasoning.tot import TreeOfThoughts
from zoran_ray.reasoning.tree import value_of
from zoran_ray.reasoning.verifiers import Exact

Left = tuple[Fraction, ...]


def moves(left: Left) -> list[tuple[str, Left]]:
    """Every legal move, as a model would write it."""
    found = []
    for i, j in permutations(range(len(left)), 2):
        a, b = left[i], left[j]
        rest = tuple(value for place, value in enumerate(left) if place not in (i, j))
        made = {"+": a + b, "-": a - b, "*": a * b} | ({"/": a / b} if b else {})
        found += [(f"{a} {op} {b} = {c}", (*rest, c)) for op, c in made.items()]
    return found


@cache
def solvable(left: Left, target: int) -> bool:
    if len(left) == 1:
        return left[0] == target
    return any(solvable(tuple(sorted(after)), target) for _, after in moves(left))


def numbers_of(prompt: str) -> Left:
    found = re.search(r"Numbers: (.*)\n", prompt[prompt.rindex("Numbers:") :])
    assert found
    return tuple(map(Fraction, found[1].split()))


def perfect(prompt: str, call: int) -> str:
    """Proposes a move that leads to the target between two that may not; judges without fail."""
    left = numbers_of(prompt)
    if prompt.endswith("Judge:"):
        return "sure" if solvable(tuple(sorted(left)), 24) else "impossible"
    good = [move for move, after in moves(left) if solvable(tuple(sorted(after)), 24)]
    return "\n".join([moves(left)[0][0], *good[:1], moves(left)[-1][0]])


def proposals(model: Scripted) -> int:
    return sum(not prompt.endswith("Judge:") for prompt in model.prompts)


puzzles = st.lists(st.integers(1, 13), min_size=2, max_size=4).filter(
    lambda numbers: solvable(tuple(sorted(map(Fraction, numbers))), 24)
)


@given(puzzles, st.integers(1, 4), st.sampled_from(["breadth", "depth"]), st.randoms(use_true_random=False))
def test_a_perfect_proposer_is_led_to_a_solution_within_breadth_times_depth_calls(
    numbers: list[int], breadth: int, search: str, random: object
) -> None:
    model = Scripted(perfect, lambda call: random.randrange(9))  # type: ignore[attr-defined]
    puzzle = Countdown(tuple(numbers))

    async def asked() -> None:
        strategy = TreeOfThoughts(problem="countdown", breadth=breadth, search=search, value_samples=1)
        answer = await strategy.solve(puzzle, asking(model), puzzle.verifier)
        assert (answer.ended, answer.verified) == ("verified", True)
        assert (await puzzle.verifier(answer.text)).ok
        assert proposals(model) <= breadth * puzzle.depth

    run(asked())


@given(
    st.lists(st.sampled_from(["1. a\n2. b\n3. c", "Answer: 1", "sure", "likely", "x\ny\nz"]), min_size=1),
    st.integers(1, 4), st.integers(1, 4), st.sampled_from(["breadth", "depth"]),
)  # fmt: skip
def test_no_model_makes_it_propose_more_often_than_breadth_times_depth_or_value_a_state_twice(
    said: list[str], breadth: int, depth: int, search: str
) -> None:
    model = Scripted(lambda prompt, call: said[call % len(said)])

    async def asked() -> None:
        strategy = TreeOfThoughts(breadth=breadth, depth=depth, search=search)
        ask = asking(model)
        await strategy.answer(question("?"), ask)
        valued = [prompt for prompt in model.prompts if "sure, likely or impossible" in prompt]
        assert len(model.prompts) - len(valued) <= breadth * depth
        assert max(Counter(valued).values(), default=1) == 1
        assert len(valued) <= sum(step.kind == "thought" for step in ask.trace.steps)

    run(asked())


def test_equal_states_are_merged_and_illegal_steps_dropped() -> None:
    said = "4 + 6 = 10\n6 + 4 = 10 (left: 2 10)\n4 + 6 = 11\n9 + 1 = 10\n2 * 6 = 12\n12 / 0 = 3\nhello"
    model = Scripted(lambda prompt, call: "likely" if prompt.endswith("Judge:") else said)

    async def asked() -> None:
        ask = asking(model)
        puzzle = Countdown((2, 4, 6), 99)
        answer = await TreeOfThoughts().solve(puzzle, ask, puzzle.verifier)
        first = [step for step in ask.trace.steps if step.kind == "thought" and step.detail["level"] == 1]
        assert [step.text for step in first] == [
            "4 + 6 = 10 (left: 2 10)",
            "2 * 6 = 12 (left: 4 12)",
        ]
        assert sum(prompt.endswith("Judge:") for prompt in model.prompts) == 2
        assert (answer.ended, answer.verified) == ("empty", None)

    run(asked())


def test_a_right_answer_cancels_its_siblings_and_nothing_is_spent_afterwards() -> None:
    def say(prompt: str, call: int) -> str:
        left = numbers_of(prompt)
        if prompt.endswith("Judge:"):
            return "likely"
        return "24 * 1 = 24" if Fraction(24) in left else "4 * 6 = 24\n4 + 6 = 10\n6 - 4 = 2"

    model = Scripted(say, lambda call: 1 if call < 5 else 10**9)

    async def asked() -> None:
        ask = asking(model)
        puzzle = Countdown((4, 6, 1), 24)
        answer = await TreeOfThoughts(value_samples=1).solve(puzzle, ask, puzzle.verifier)
        assert (answer.ended, answer.text) == ("verified", "(4 * 6) * 1")
        assert model.cancelled == 2
        assert ask.purse.used.calls == len(model.prompts) == 7

    run(asked())


def test_without_a_verifier_a_sure_answer_ends_it() -> None:
    def say(prompt: str, call: int) -> str:
        if "sure, likely or impossible" in prompt:
            return "sure" if "Answer: Paris" in prompt else "likely"
        return "1. Think of France.\n2. Answer: Paris\n3. Answer: paris!"

    model = Scripted(say)

    async def asked() -> None:
        answer = await TreeOfThoughts().answer(question("Capital?"), asking(model))
        assert (answer.text, answer.ended, answer.verified) == ("Paris", "done", None)
        assert answer.detail["judged_by"] == "model"
        assert answer.detail["states"] == 2  # both ways to write it are one

    run(asked())


def test_a_wrong_answer_is_not_gone_on_with_and_is_told_where_there_is_nothing_better() -> None:
    model = Scripted(lambda prompt, call: "1. Answer: Lyon")

    async def asked() -> None:
        answer = await TreeOfThoughts().answer(question("Capital?"), asking(model), Exact("Paris"))
        assert (answer.text, answer.ended, answer.verified) == ("Lyon", "empty", False)
        assert len(model.prompts) == 1

    run(asked())


def test_a_budget_that_ends_gives_the_furthest_and_best_steps_with_the_reason() -> None:
    model = Scripted(lambda prompt, call: "likely" if "impossible" in prompt else f"1. a{call}\n2. b{call}")

    async def asked() -> None:
        strategy = TreeOfThoughts(depth=9, flat_levels=None, value_samples=1)
        answer = await strategy.answer(question("?"), asking(model, Budget(calls=7)))
        assert answer.ended == "budget:calls"
        assert answer.detail["level"] == 2
        assert answer.text.startswith("1. ")
        answer = await strategy.answer(question("?"), asking(model, Budget(calls=0)))
        assert (answer.text, answer.ended) == ("", "budget:calls")

    run(asked())


def test_levels_without_a_better_value_end_it() -> None:
    def flat(prompt: str, call: int) -> str:
        return "likely" if "impossible" in prompt else f"step {call}"

    async def asked() -> None:
        answer = await TreeOfThoughts(depth=9).answer(question("?"), asking(Scripted(flat)))
        assert (answer.ended, answer.detail["level"]) == ("flat", 3)
        endless = TreeOfThoughts(depth=5, flat_levels=None)
        answer = await endless.answer(question("?"), asking(Scripted(flat)))
        assert answer.detail["level"] == 5

    run(asked())


def test_depth_first_comes_back_from_what_is_judged_impossible() -> None:
    def say(prompt: str, call: int) -> str:
        if "impossible" in prompt:
            return "impossible" if "1. bad" in prompt else "likely"
        return "1. bad\n2. good" if "There are no steps yet" in prompt else "1. Answer: 42"

    model = Scripted(say)

    async def asked() -> None:
        strategy = TreeOfThoughts(search="depth")
        answer = await strategy.answer(question("?"), asking(model), Exact("42"))
        assert (answer.text, answer.ended) == ("42", "verified")
        assert not any("1. bad" in p and "possibilities" in p for p in model.prompts)

    run(asked())


@pytest.mark.parametrize(
    "problem", [Countdown((4, 9, 10, 13)), TextProblem(question("A long question. " * 40))]
)
def test_all_prompts_of_a_problem_begin_alike(problem: Countdown | TextProblem) -> None:
    start = problem.start()
    after = problem.legal(start, "13 - 9 = 4")  # type: ignore[arg-type]
    assert after is not None
    texts = [as_text(make(state)) for make in (problem.propose, problem.value) for state in (start, after)]  # type: ignore[operator]
    shared = next(i for i, letters in enumerate(zip(*texts, strict=False)) if len(set(letters)) > 1)
    assert shared > 0.6 * max(map(len, texts))


@given(st.text(max_size=300))
def test_no_proposal_breaks_a_problem(said: str) -> None:
    for problem in (Countdown((1, 2, 3)), TextProblem(question("?"))):
        for step in problem.steps(said):
            problem.legal(problem.start(), step)  # type: ignore[arg-type]


def test_a_model_that_lists_thousands_of_steps_is_cut_short() -> None:
    model = Scripted(lambda prompt, call: "likely" if "impossible" in prompt else
                     "\n".join(f"{i}. step {i}-{call}" for i in range(999)))  # fmt: skip

    async def asked() -> None:
        answer = await TreeOfThoughts(depth=2, branch=4).answer(question("?"), asking(model))
        assert answer.detail["states"] <= 4 + 5 * 4

    run(asked())


def test_judgements() -> None:
    assert value_of("It is not impossible.\nLIKELY") == 1
    assert value_of("unlikely") == 0
    assert value_of("sure") == 20
    assert value_of("likely, no: impossible") == 0.001


@pytest.mark.parametrize(
    ("text", "numbers", "target"),
    [
        ("Numbers: 4 9 10 13. Target: 24", (4, 9, 10, 13), 24),
        ("Use 3, 3, 8 and 8 to make 24.", (3, 3, 8, 8), 24),
        ("Make 952 from 25 50 75 100 3 6", (25, 50, 75, 100, 3, 6), 952),
        ("1 2 3 = 6", (1, 2, 3), 6),
    ],
)
def test_puzzles_are_read(text: str, numbers: tuple[int, ...], target: int) -> None:
    puzzle = Countdown.of(question(text))
    assert (puzzle.numbers, puzzle.target) == (numbers, target)


@pytest.mark.parametrize("text", ["", "How are you?", "make 24", "make 24 from " + "1 " * 9])
def test_what_is_no_puzzle_is_said(text: str) -> None:
    async def asked() -> None:
        model = Scripted(lambda prompt, call: "")
        with pytest.raises(InvalidRequest, match="Target"):
            await TreeOfThoughts(problem="countdown").answer(question(text), asking(model))

    run(asked())


def test_steps_of_samples_are_joined() -> None:
    def say(prompt: str, call: int) -> list[str]:
        return ["sure"] * 3 if "impossible" in prompt else [f"Answer: {i}" for i in range(5)]

    model = Scripted(say)

    async def asked() -> None:
        answer = await TreeOfThoughts(samples=5).answer(question("?"), asking(model), Exact("3"))
        assert (answer.text, answer.ended) == ("3", "verified")
        assert [sampling.n for sampling in model.samplings] == [5]

    run(asked())
