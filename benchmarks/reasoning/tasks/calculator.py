"""Questions about large numbers: with a calculator, in ReAct's text form, and without."""

import random
from fractions import Fraction
from functools import partial

from benchmarks.reasoning.tasks.task import Instance, Lesson, recorded, right_answer
from zoran_ray.errors import InvalidRequest
from zoran_ray.reasoning.answers import MARKER, last_number
from zoran_ray.reasoning.cot import ChainOfThought
from zoran_ray.reasoning.react import React
from zoran_ray.reasoning.react_text import Action, Final, Malformed, arguments_of, read_turn, written
from zoran_ray.tools.arithmetic import evaluate
from zoran_ray.tools.calculator import Calculator
from zoran_ray.tools.toolbox import Toolbox

_DIGITS = ((3, 2), (4, 3), (6, 5))
"""Digits of the larger and the smaller number of each level."""
_ASKED = {
    "+": ("What is {a} + {b}?", "A town has {a} people. {b} more come. How many are there now?"),
    "-": ("What is {a} - {b}?", "A store has {a} nails and sells {b}. How many are left?"),
    "*": ("What is {a} * {b}?", "A ship carries {a} boxes of {b} bolts. How many bolts are that?"),
}
ASKED = tuple(text for texts in _ASKED.values() for text in texts)
"""All questions, with blanks for the numbers."""


class CalculatorTask:
    """Compute what is too large for the head."""

    name = "calculator"
    levels = len(_DIGITS)

    def draw(self, rng: random.Random, level: int) -> Instance:
        """As `Task`."""
        larger, smaller = _DIGITS[level - 1]
        a, b = _number(larger, rng), _number(smaller, rng)
        operator = rng.choice("+-*")
        question = rng.choice(_ASKED[operator]).format(a=a, b=b)
        expression = f"{a} {operator} {b}"
        verifier = {"kind": "numeric", "expected": str(evaluate(expression))}
        return Instance("calculator", level, f"calculator {expression}", question, verifier)

    def lessons(self, instance: Instance, rng: random.Random) -> list[Lesson]:
        """As `Task`: an action, the answer after what it shows, and the answer without tools."""
        expression = instance.key.removeprefix("calculator ")
        expected = evaluate(expression)
        action = written(Action("I compute it.", "calculator", f'{{"expression": "{expression}"}}'))
        final = f"Thought: I know it.\nFinal Answer: {expected}"
        acting, ending = recorded(react(), instance.messages, [action, final])
        alone = ChainOfThought().prompt(instance.messages)
        return [
            Lesson("calculator.action", acting.messages, action, {"right": partial(_acts, expected)}),
            Lesson("calculator.final", ending.messages, final, {"right": partial(_ends, expected)}),
            Lesson("calculator.alone", alone, f"{MARKER} {expected}", {"right": right_answer(instance)}),
        ]


def react() -> React:
    """ReAct with a calculator and nothing else."""
    return React().using(toolbox())


def toolbox() -> Toolbox:
    """A calculator and nothing else."""
    return Toolbox([Calculator()], ["calculator"])


def _number(digits: int, rng: random.Random) -> int:
    return rng.randint(10 ** (digits - 1), 10**digits - 1)


def _acts(expected: Fraction, said: str) -> bool:
    """Whether it calls the calculator with an expression of the right value."""
    try:
        turn = read_turn(said)
        if not isinstance(turn, Action) or turn.tool != "calculator":
            return False
        return evaluate(str(arguments_of(turn, toolbox().offers).get("expression"))) == expected
    except (Malformed, InvalidRequest):
        return False


def _ends(expected: Fraction, said: str) -> bool:
    try:
        turn = read_turn(said)
    except Malformed:
        return False
    return isinstance(turn, Final) and last_number(turn.answer) == expected
