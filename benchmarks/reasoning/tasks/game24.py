"""Exact solving of Countdown puzzles, for teachers only: no strategy and no verifier may know it."""

import random
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache

from zoran_ray.reasoning.countdown import Countdown, Numbers

Values = tuple[Fraction, ...]
Move = tuple[str, Fraction, Values]
"""The move as it is written, what it makes, and all that is left, sorted."""


def moves(values: Values) -> Iterator[Move]:
    """Every move but those below zero, which lead nowhere that others do not. May repeat itself.

    Args:
        values: Sorted.
    """
    for i, low in enumerate(values):
        for j in range(i + 1, len(values)):
            high = values[j]
            rest = (*values[:i], *values[i + 1 : j], *values[j + 1 :])
            for operator, a, b in (("+", low, high), ("-", high, low), ("*", low, high),
                                   ("/", high, low), ("/", low, high)):  # fmt: skip
                made = _made(a, operator, b)
                if made is not None:
                    yield f"{a} {operator} {b} = {made}", made, tuple(sorted((*rest, made)))


def _made(a: Fraction, operator: str, b: Fraction) -> Fraction | None:
    if operator == "/":
        return a / b if b else None
    return a + b if operator == "+" else a - b if operator == "-" else a * b


@lru_cache(maxsize=1 << 17)
def solvable(values: Values, target: int) -> bool:
    """Whether the numbers can make the target.

    Args:
        values: Sorted.
    """
    if len(values) == 1:
        return values[0] == target
    return any(solvable(left, target) for _, _, left in moves(values))


def values_of(state: Numbers) -> Values:
    """What is left, sorted."""
    return tuple(sorted(value for value, _ in state.left))


def good_moves(state: Numbers, target: int) -> Sequence[str]:
    """Moves after which the target can be made, each once."""
    return _good(values_of(state), target)[0]


def plain_moves(state: Numbers) -> Sequence[str]:
    """Moves to whole numbers, as people would try them; any, where there is none."""
    return _plain(values_of(state))


def taught_moves(state: Numbers, target: int) -> Sequence[str]:
    """Good moves to whole numbers; any good ones, where there are no such."""
    good, whole = _good(values_of(state), target)
    return whole or good


@lru_cache(maxsize=1 << 16)
def _good(values: Values, target: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Good moves, and those of them to whole numbers."""
    good = {text: made for text, made, left in moves(values) if solvable(left, target)}
    return tuple(good), tuple(text for text, made in good.items() if made.denominator == 1)


@lru_cache(maxsize=1 << 15)
def _plain(values: Values) -> tuple[str, ...]:
    every = {text: made for text, made, _ in moves(values)}
    return tuple(text for text, made in every.items() if made.denominator == 1) or tuple(every)


def played(puzzle: Countdown, state: Numbers, move: str) -> Numbers:
    """The state after a move that is known to be legal."""
    after = puzzle.legal(state, move)
    assert after is not None
    return after


def solution(puzzle: Countdown, rng: random.Random) -> list[Numbers]:
    """The states of one way to the target, the first move's first. The puzzle must have one."""
    state, path = puzzle.start(), []
    while len(state.left) > 1:
        state = played(puzzle, state, rng.choice(taught_moves(state, puzzle.target)))
        path.append(state)
    return path


def attempt(puzzle: Countdown, rng: random.Random) -> list[Numbers]:
    """The states of a way to anywhere."""
    state, path = puzzle.start(), []
    while len(state.left) > 1:
        state = played(puzzle, state, rng.choice(plain_moves(state)))
        path.append(state)
    return path


def told(puzzle: Countdown, path: list[Numbers], marker: str) -> str:
    """A way as a chain of thought."""
    return "\n".join([*map(puzzle.show, path), f"{marker} {puzzle.answer(path[-1])}"])
