"""Countdown and the game of 24: join all numbers by + - * / so that they make the target."""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from zoran_ray.errors import InvalidRequest
from zoran_ray.reasoning.completion import Message
from zoran_ray.reasoning.prompting import question_of, system, user
from zoran_ray.reasoning.verifiers.arithmetic import Arithmetic

MOST_NUMBERS = 8
"""Most numbers of one puzzle."""

_VALUE = r"-?\d{1,12}(?:/\d{1,12}|\.\d{1,9})?"
_STEP = re.compile(
    rf"(?P<a>{_VALUE})\s{{0,3}}(?P<op>[-+*/×÷−])\s{{0,3}}(?P<b>{_VALUE})\s{{0,3}}=\s{{0,3}}(?P<c>{_VALUE})"
)
_TARGET = re.compile(
    r"(?:\b(?:make|makes|reach|get|obtain|target|equals?|total|to)\b(?:\s(?:of|is|the|target|number)){0,3}|=)"
    r"\W{0,4}(\d{1,6})(?!\d)", re.IGNORECASE)  # fmt: skip
_RULES = (
    "A game with numbers. A move takes two of the numbers, joins them by + - * or /, and puts the result "
    "in their place. When one number is left, it must be {target}; every number is used exactly once.\n"
    "Asked for 'Moves', write possible next moves, each on a line of its own, such as "
    "'10 - 4 = 6 (left: 6 9 13)'.\n"
    "Asked to 'Judge', say whether the numbers can still make {target}: try a little, then end with one "
    "word, sure, likely or impossible. '4 6' is sure for 24, because 4 * 6 = 24; '1 1' is impossible."
)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers that are left, each with the expression that made it, and the last move.

    Attributes:
        left: Values and expressions.
        move: How it came to this; empty at the start.
    """

    left: tuple[tuple[Fraction, str], ...]
    move: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Countdown:
    """One puzzle.

    Attributes:
        numbers: What to join.
        target: What they must make.
    """

    numbers: tuple[int, ...]
    target: int = 24

    @classmethod
    def of(cls, messages: Sequence[Message]) -> "Countdown":
        """The puzzle of a conversation's last question, such as `Make 24 from 4 9 10 13`.

        Raises:
            InvalidRequest: There is none in it; says how one is written.
        """
        text = question_of(messages)
        targets = list(_TARGET.finditer(text))
        found = targets[-1] if targets else None
        rest = text if found is None else text[: found.start(1)] + " " + text[found.end(1) :]
        numbers = tuple(int(number) for number in re.findall(r"(?<![\d.])\d{1,6}(?![\d.]*\d)", rest))
        if found is None or not 2 <= len(numbers) <= MOST_NUMBERS:
            raise InvalidRequest(
                f"There is no puzzle in the question. Write 2 to {MOST_NUMBERS} numbers and a target: "
                "'Numbers: 4 9 10 13. Target: 24'.",
                param="messages",
            )
        return cls(numbers, int(found[1]))

    @property
    def depth(self) -> int:
        """Each move leaves one number less."""
        return len(self.numbers) - 1

    @property
    def verifier(self) -> Arithmetic:
        """Judges expressions. It knows no solution."""
        return Arithmetic(Fraction(self.target), tuple(map(Fraction, self.numbers)), "countdown")

    def start(self) -> Numbers:
        """All numbers."""
        return Numbers(tuple((Fraction(number), str(number)) for number in self.numbers))

    def propose(self, state: Numbers) -> Sequence[Message]:
        """Asks for moves."""
        return self._asked(state, "Moves:")

    def steps(self, said: str) -> Sequence[str]:
        """Everything of the form `a + b = c`."""
        return [found[0] for found in _STEP.finditer(said)]

    def legal(self, state: Numbers, step: str) -> Numbers | None:
        """A move takes two numbers that are there, and its sum is right."""
        found = _STEP.fullmatch(step.strip())
        if found is None:
            return None
        left = list(state.left)
        a, b = _taken(left, found["a"]), _taken(left, found["b"])
        if a is None or b is None:
            return None
        operator = {"×": "*", "÷": "/", "−": "-"}.get(found["op"], found["op"])
        made = _joined(a[0], operator, b[0])
        if made is None or made != _fraction(found["c"]):
            return None
        return Numbers((*left, (made, f"({a[1]} {operator} {b[1]})")), step.strip())

    def key(self, state: Numbers) -> Hashable:
        """The values that are left, in no order."""
        return tuple(sorted(value for value, _ in state.left))

    def value(self, state: Numbers) -> Sequence[Message]:
        """Asks for a judgement."""
        return self._asked(state, "Judge:")

    def answer(self, state: Numbers) -> str | None:
        """The expression, where one number is left: right or wrong."""
        if len(state.left) > 1:
            return None
        expression = state.left[0][1]
        return expression[1:-1] if expression.startswith("(") else expression

    def show(self, state: Numbers) -> str:
        """The move and what it leaves."""
        left = " ".join(str(value) for value, _ in state.left)
        return f"{state.move} (left: {left})" if state.move else f"Numbers: {left}"

    def _asked(self, state: Numbers, request: str) -> Sequence[Message]:
        left = " ".join(str(value) for value, _ in state.left)
        rules = _RULES.replace("{target}", str(self.target))
        return system(rules), user(f"Numbers: {left}\nTarget: {self.target}\n{request}")


def _taken(left: list[tuple[Fraction, str]], written: str) -> tuple[Fraction, str] | None:
    value = _fraction(written)
    place = next((i for i, (there, _) in enumerate(left) if there == value), None)
    return None if place is None else left.pop(place)


def _fraction(written: str) -> Fraction | None:
    try:
        return Fraction(written)
    except ZeroDivisionError:
        return None


def _joined(a: Fraction, operator: str, b: Fraction) -> Fraction | None:
    match operator:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case _:
            return a / b if b else None
