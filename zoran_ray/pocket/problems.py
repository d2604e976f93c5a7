"""The sums the pocket model is taught, how they are asked, and which pairs are kept for the exam.

Pure Python and seeded: the same `random.Random` gives the same lessons. Knows nothing of tokens or tensors.

The split law: an operand pair is held out or not as an *unordered* pair and per operator, so neither
`a+b` nor its twin `b+a` (nor `b-a` for `a-b`) of an exam question is ever trained on.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

LARGEST_OPERAND = 999
"""Operands are 0..999, so answers are -999..1998."""

SMALLEST_HELD_OUT = 10
"""Pairs of two one-digit numbers (there are only 100) are all taught: they are a table, not a skill."""

HELD_OUT_OF_256 = 32
"""Share of the pairs kept for the exam: 32 of 256, one in eight."""

Operator = Literal["+", "-"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One sum or difference of two whole numbers in 0..999."""

    a: int
    operator: Operator
    b: int

    @property
    def answer(self) -> str:
        """The exact result in plain digits, with a leading `-` where it is negative."""
        return str(self.a + self.b if self.operator == "+" else self.a - self.b)


@lru_cache(maxsize=1 << 20)
def _pair_held_out(low: int, operator: str, high: int) -> bool:
    digest = hashlib.blake2b(f"{low}{operator}{high}".encode(), digest_size=1).digest()
    return digest[0] < HELD_OUT_OF_256


def is_held_out(problem: Problem) -> bool:
    """Whether the problem belongs to the exam and must never be taught."""
    low, high = sorted((problem.a, problem.b))
    return high >= SMALLEST_HELD_OUT and _pair_held_out(low, problem.operator, high)


PHRASINGS: dict[Operator, tuple[str, ...]] = {
    "+": (
        "{a}+{b}", "{a} + {b}", "{a}+{b}=", "{a} + {b} =", "{a}+{b}?", "{a} + {b} = ?", "{a} plus {b}",
        "What is {a}+{b}?", "What is {a} + {b}?", "What is {a} plus {b}?", "What's {a}+{b}?",
        "How much is {a}+{b}?", "How much is {a} plus {b}?", "How much is {a} + {b}?",
        "Calculate {a}+{b}.", "Calculate {a} + {b}", "Compute {a}+{b}.", "Add {a} and {b}.",
        "Add {a} to {b}.", "What is the sum of {a} and {b}?",
        "Please calculate {a}+{b}.", "Can you tell me what {a}+{b} is?",
        "Solve {a}+{b}.", "Hello, what is {a}+{b}?",
    ),
    "-": (
        "{a}-{b}", "{a} - {b}", "{a}-{b}=", "{a} - {b} =", "{a}-{b}?", "{a} - {b} = ?", "{a} minus {b}",
        "What is {a}-{b}?", "What is {a} - {b}?", "What is {a} minus {b}?", "What's {a}-{b}?",
        "How much is {a}-{b}?", "How much is {a} minus {b}?", "How much is {a} - {b}?",
        "Calculate {a}-{b}.", "Calculate {a} - {b}", "Compute {a}-{b}.", "Subtract {b} from {a}.",
        "What is {a} \u2212 {b}?", "What is {a} less {b}?", "Please calculate {a}-{b}.",
        "Can you tell me what {a}-{b} is?", "Solve {a}-{b}.", "Hello, what is {a}-{b}?",
    ),
}  # fmt: skip
"""The ways a problem is asked; the first is the bare form that the first part of the training uses."""


def phrase(problem: Problem, phrasing: str, *, lower: bool = False) -> str:
    """The question as text; `lower` as people type it in chats, without capitals."""
    text = phrasing.format(a=problem.a, b=problem.b)
    return text.lower() if lower else text


def sample_operand(rng: random.Random) -> int:
    """0..999: 70 % three-digit, 22 % two-digit, 8 % one-digit: long carries are the hard part."""
    draw = rng.random()
    if draw < 0.70:
        return rng.randint(100, LARGEST_OPERAND)
    return rng.randint(10, 99) if draw < 0.92 else rng.randint(0, 9)


def sample_problem(rng: random.Random, two_digit_share: float = 0.0) -> Problem:
    """One problem that may be taught (never a held-out one).

    Args:
        two_digit_share: Part of the problems (0..1) with two two-digit numbers, beside those by chance.
    """
    while True:
        operator: Operator = "+" if rng.random() < 0.5 else "-"
        if two_digit_share and rng.random() < two_digit_share:
            problem = Problem(rng.randint(10, 99), operator, rng.randint(10, 99))
            if not is_held_out(problem):
                return problem
            continue
        a = sample_operand(rng)
        # Digit-near pairs make results whose leading digits hang on the last carry or borrow.
        b = _near(rng, a, operator) if rng.random() < 0.2 else sample_operand(rng)
        problem = Problem(a, operator, b)
        if not is_held_out(problem):
            return problem


def _near(rng: random.Random, a: int, operator: Operator) -> int:
    """A second operand with which `a` makes nines (sum) or zeros (difference) in the upper digits."""
    if operator == "-":
        return min(LARGEST_OPERAND, max(0, a + rng.randint(-20, 20)))
    round_number = rng.choice((100, 1000)) if a < 100 else 1000
    round_number = round_number if rng.random() < 0.5 else (a // 100 + rng.randint(1, 9)) * 100
    return min(LARGEST_OPERAND, max(0, round_number - a + rng.randint(-12, 12)))
