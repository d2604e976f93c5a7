"""Chained arithmetic: a number is changed step by step; the scratchpad has one sum a line."""

import random

from benchmarks.reasoning.tasks.task import Instance, Lesson, right_answer
from zoran_ray.reasoning.answers import MARKER
from zoran_ray.reasoning.cot import ChainOfThought

STEPS = (2, 3, 5, 8)
"""Steps of each level."""
LARGEST = (99, 199, 499, 999)
"""Largest number on the way, by level."""
_WORDS = {"+": "Add {n}.", "-": "Subtract {n}.", "*": "Multiply by {n}."}


class ChainTask:
    """Work out what a number becomes."""

    name = "chain"
    levels = len(STEPS)

    def draw(self, rng: random.Random, level: int) -> Instance:
        """As `Task`."""
        value = start = rng.randint(2, 99)
        steps = []
        for _ in range(STEPS[level - 1]):
            operator, number = _step(value, LARGEST[level - 1], rng)
            steps.append((operator, number))
            value = _made(value, operator, number)
        said = " ".join(_WORDS[operator].format(n=number) for operator, number in steps)
        key = f"chain {start} " + " ".join(f"{operator}{number}" for operator, number in steps)
        question = f"Start with {start}. {said} What is the result?"
        return Instance("chain", level, key, question, {"kind": "numeric", "expected": value})

    def lessons(self, instance: Instance, rng: random.Random) -> list[Lesson]:
        """As `Task`: the chain of thought."""
        _, start, *steps = instance.key.split()
        value, lines = int(start), []
        for step in steps:
            made = _made(value, step[0], int(step[1:]))
            lines.append(f"{value} {step[0]} {step[1:]} = {made}")
            value = made
        said = "\n".join([*lines, f"{MARKER} {value}"])
        asked = ChainOfThought().prompt(instance.messages)
        return [Lesson(f"chain.{len(steps)}", asked, said, {"right": right_answer(instance)})]


def _step(value: int, largest: int, rng: random.Random) -> tuple[str, int]:
    """A step that stays within 1 to the largest."""
    while True:
        operator = rng.choice("+-*")
        number = rng.randint(2, 9) if operator == "*" else rng.randint(1, 99)
        if 1 <= _made(value, operator, number) <= largest:
            return operator, number


def _made(value: int, operator: str, number: int) -> int:
    return value + number if operator == "+" else value - number if operator == "-" else value * number
