"""Countdown and the game of 24: single moves, judgements of states in words, and whole solutions.

Level 1 has three numbers up to 9, level 2 is the game of 24, level 3 has four numbers up to 20. Each has a
solution. States of three numbers and more are split like instances, whichever puzzle they are met in; what
two numbers can make is a table that is all taught.
"""

import random
from collections.abc import Sequence
from fractions import Fraction
from functools import partial

from benchmarks.reasoning.tasks.game24 import (
    Values,
    attempt,
    good_moves,
    moves,
    plain_moves,
    played,
    solution,
    solvable,
    taught_moves,
    told,
    values_of,
)
from benchmarks.reasoning.tasks.task import Instance, Lesson, is_held_out, right_answer
from zoran_ray.reasoning.answers import MARKER
from zoran_ray.reasoning.cot import ChainOfThought
from zoran_ray.reasoning.countdown import Countdown, Numbers
from zoran_ray.reasoning.tree import VALUES, value_of

GOOD_SHARE = 0.8
"""Share of taught moves that keep the target within reach, where any does; the others are any moves."""
LISTED = 3
"""Most moves that are taught for one state: drawn one after the other, each said once."""
_TABLE = 2
"""States of so many numbers and fewer are all taught."""


class CountdownTask:
    """Join numbers so that they make a target."""

    name = "countdown"
    levels = 3

    def draw(self, rng: random.Random, level: int) -> Instance:
        """As `Task`."""
        while True:
            count, most = ((3, 9), (4, 13), (4, 20))[level - 1]
            numbers = tuple(rng.randint(1, most) for _ in range(count))
            target = 24 if level == 2 else _target(numbers, rng)
            within = 10 <= target <= (50 if level == 1 else 100)
            if within and solvable(tuple(sorted(map(Fraction, numbers))), target):
                return _instance(numbers, target, level)

    def lessons(self, instance: Instance, rng: random.Random) -> list[Lesson]:
        """As `Task`: one solution, and on a way through the puzzle a move and a judgement a state."""
        puzzle = Countdown.of(instance.messages)
        side = is_held_out(instance.key)
        asked = ChainOfThought().prompt(instance.messages)
        said = told(puzzle, solution(puzzle, rng), MARKER)
        made = [Lesson("countdown.shot", asked, said, {"right": right_answer(instance)})]
        state = puzzle.start()
        while len(state.left) > 1:
            if state_side(state, puzzle.target, side) is side:
                made.append(_move_lesson(puzzle, state, rng))
            state = played(puzzle, state, _drawn_move(puzzle, state, rng, good_share=0.6))
            if len(state.left) > 1 and state_side(state, puzzle.target, side) is side:
                made.append(_value_lesson(puzzle, state))
        return made


def state_side(state: Numbers, target: int, side: bool) -> bool:
    """Whether a state is held out; what belongs to the table is on either side."""
    if len(state.left) <= _TABLE:
        return side
    return is_held_out(key_of(values_of(state), target))


def key_of(values: Sequence[Fraction] | Sequence[int], target: int) -> str:
    """The same for the same numbers in any order."""
    return f"countdown {' '.join(map(str, sorted(values)))} -> {target}"


def judgement(values: Values, target: int) -> str:
    """`sure` where one move shows it, `likely` where several do, `impossible` where none can.

    Two numbers are tried out; of more only the word is said.
    """
    if len(values) > _TABLE:
        return "likely" if solvable(values, target) else "impossible"
    whole = all(value.denominator == 1 for value in values)
    tried: list[str] = []
    for text, made, _ in moves(values):
        if whole and made.denominator > 1:
            continue  # no whole target comes of it
        tried.append(text)
        if made == target:
            return f"{', '.join(tried)} sure"
    return f"{', '.join(tried)} impossible"


def _target(numbers: tuple[int, ...], rng: random.Random) -> int:
    """A whole number that the numbers make, or something near to what they make."""
    return int(attempt(Countdown(numbers), rng)[-1].left[0][0])


def _instance(numbers: tuple[int, ...], target: int, level: int) -> Instance:
    question = f"Numbers: {' '.join(map(str, numbers))}. Target: {target}"
    verifier = {"kind": "arithmetic", "target": target, "numbers": list(numbers)}
    return Instance("countdown", level, key_of(numbers, target), question, verifier)


def _drawn_move(puzzle: Countdown, state: Numbers, rng: random.Random, good_share: float) -> str:
    good = taught_moves(state, puzzle.target)
    return rng.choice(good if good and rng.random() < good_share else plain_moves(state))


def _move_lesson(puzzle: Countdown, state: Numbers, rng: random.Random) -> Lesson:
    drawn = dict.fromkeys(_drawn_move(puzzle, state, rng, GOOD_SHARE) for _ in range(LISTED))
    said = "\n".join(puzzle.show(played(puzzle, state, move)) for move in drawn)
    checks = {"legal": partial(_legal, puzzle, state)}
    if good_moves(state, puzzle.target):
        checks["good"] = partial(_good, puzzle, state)
    return Lesson("countdown.move", puzzle.propose(state), said, checks)


def _after(puzzle: Countdown, state: Numbers, said: str) -> list[Numbers | None]:
    return [puzzle.legal(state, step) for step in puzzle.steps(said)]


def _legal(puzzle: Countdown, state: Numbers, said: str) -> bool:
    """Whether every move that is listed is one."""
    after = _after(puzzle, state, said)
    return bool(after) and None not in after


def _good(puzzle: Countdown, state: Numbers, said: str) -> bool:
    """Whether a listed move leaves a way to the target."""
    after = (each for each in _after(puzzle, state, said) if each is not None)
    return any(solvable(values_of(each), puzzle.target) for each in after)


def _value_lesson(puzzle: Countdown, state: Numbers) -> Lesson:
    said = judgement(values_of(state), puzzle.target)
    hopeless = said.endswith("impossible")
    kind = "countdown.value2" if len(state.left) <= _TABLE else "countdown.value3"
    checks = {"hope": partial(_same_hope, hopeless)}
    return Lesson(kind, puzzle.value(state), said, checks)


def _same_hope(hopeless: bool, said: str) -> bool:
    """Whether a judgement keeps what can be solved and drops what cannot."""
    return (value_of(said) <= VALUES["impossible"]) is hopeless
