"""Evaluates answers that are arithmetic."""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from zoran_ray.errors import InvalidRequest
from zoran_ray.reasoning.verifier import Verdict
from zoran_ray.tools.arithmetic import Expression


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """The answer is an expression that makes a target.

    Attributes:
        target: What it must make.
        numbers: What it must use, each exactly once; None for whatever it likes.
        name: In traces.
    """

    target: Fraction
    numbers: tuple[Fraction, ...] | None = None
    name: str = "arithmetic"

    async def __call__(self, answer: str) -> Verdict:
        """Judges an expression. Target and numbers are the question's, so they may be told."""
        text = answer.split("=", 1)[0].strip(" \t\r\n`*$")  # without `= 24` at its end
        try:
            expression = Expression(text, plain=True)
            value = expression.value()
        except InvalidRequest as error:
            return Verdict(False, error.message)
        if self.numbers is not None and Counter(expression.numbers()) != Counter(self.numbers):
            return Verdict(False, "Every number must be used exactly once, and no other.")
        if value != self.target:
            return Verdict(False, f"The expression makes {value}, not {self.target}.")
        return Verdict(True, score=1.0)
