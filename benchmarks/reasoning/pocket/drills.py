"""Short exercises from which a model learns what all lessons need: to copy, to look up, to reckon.

Many of them come first, and some all the time. They have no prompt and no place in the exam. Ids only.
"""

import random

from benchmarks.reasoning.pocket.words import STATEMENT_IDS, encode, number_id
from zoran_ray.pocket.tokens import END, USER

Taught = tuple[list[int], list[bool]]
"""Ids, and which of them the model has to know from those before."""

_SUMS = 8
_LONGEST_COPY = 32
"""Long ones teach most: each of their ids but the first can be known from the one before it."""


def drill(rng: random.Random) -> Taught:
    """One exercise of any kind."""
    return rng.choices((sums, copy), (1, 1))[0](rng)


def sums(rng: random.Random) -> Taught:
    """Sums, differences, products and whole quotients, one a line; the results are asked for."""
    ids, asked = [USER], [False]
    most = rng.choice((12, 30, 99, 999))
    for _ in range(_SUMS):
        sum_, result = _sum(rng, most)
        ids += [*encode(sum_), *encode(f"{result}\n")]
        asked += [False] * (len(ids) - len(asked))
        asked[-2] = True
    return ids, asked


def _sum(rng: random.Random, most: int) -> tuple[str, int]:
    """The left side and the result, both up to 999."""
    operator = rng.choice("+-*/")
    a, b = rng.randint(1, most), rng.randint(1, min(most, 99))
    if operator == "-":
        a, b = max(a, b), min(a, b)
    elif operator in "*/":
        a = rng.randint(1, min(most, 99))
        b = rng.randint(1, min(b, 999 // a))
        if operator == "/":
            a, b = a * b, a
    elif a + b > 999:
        a -= b
    result = {"+": a + b, "-": a - b, "*": a * b}.get(operator, a // b)
    return f"{a} {operator} {b} = ", result


def copy(rng: random.Random) -> Taught:
    """Numbers and statements, once and once more."""
    size = rng.randint(3, _LONGEST_COPY)
    most = rng.choice((99, 999))
    said = [
        rng.choice(STATEMENT_IDS) if rng.random() < 0.5 else number_id(rng.randint(1, most))
        for _ in range(size)
    ]
    return [USER, *said, USER, *said, END], [False] * (size + 2) + [True] * (size + 1)
