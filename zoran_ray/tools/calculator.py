"""A calculator for models: exact arithmetic of whole numbers and fractions, bounded in size and time.

The expression is read with `ast` and never run: only what is named here is known.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from math import ceil, floor
from typing import Any, ClassVar

from zoran_ray.errors import InvalidRequest
from zoran_ray.tools.tool import Observation, Permission

MOST_CHARS = 500
MOST_DEPTH = 260
"""Enough for a sum of as many numbers as there is room for."""
MOST_BITS = 4_096
"""Of a result's numerator and of its denominator: about 1,200 digits."""
MOST_DECIMALS = 20
"""Of the longest decimal fraction that is written out; others are written as a quotient."""

_READ_AS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "\n": " ", "\t": " "})
_DIGITS = r"(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?[0-9]{1,3}+)?+"
_NUMBER = re.compile(_DIGITS)
# Nothing else is shown to `ast`: Python warns aloud of some texts that it reads.
_KNOWN = re.compile(
    rf"(?:{_DIGITS}(?![0-9a-zA-Z.])|(?:abs|min|max|round|floor|ceil)(?= *\()|[+\-*/%(), ])*+"
)

_KNOWN_ONLY = (
    "Only numbers such as 12, 0.5 or 1.5e3, + - * / // % ^, brackets, and abs, min, max, round, floor and"
    " ceil with their arguments in brackets are known."
)

_Operation = Callable[[Fraction, Fraction], Fraction]


def evaluate(expression: str) -> Fraction:
    """The exact value of an expression.

    Known: whole and decimal numbers, `+ - * / // % **`, `^` as `**`, brackets, and the functions abs, min,
    max, round, floor and ceil.

    Args:
        expression: At most `MOST_CHARS` characters; a `=` at its end is overlooked.

    Raises:
        InvalidRequest: It cannot be computed; says why.
    """
    if len(expression) > MOST_CHARS:
        raise _wrong(f"The expression is longer than {MOST_CHARS} characters. Compute it in parts.")
    text = expression.translate(_READ_AS).replace("^", "**").strip().removesuffix("=").strip()
    if not text or not _KNOWN.fullmatch(text):
        raise _wrong(_KNOWN_ONLY)
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _wrong("This is no complete expression. Write one such as (12 + 3) * 4.") from error
    return _Reading(text).value(tree.body, MOST_DEPTH)


def written(value: Fraction) -> str:
    """A value as a model reads it: `42`, `0.75`, or `1/3 (about 0.333333333333)`."""
    if value.denominator == 1:
        return str(value.numerator)
    decimals = _decimals(value.denominator)
    if decimals is not None:
        digits = str(abs(value.numerator) * 10**decimals // value.denominator).zfill(decimals + 1)
        return f"{'-' * (value < 0)}{digits[:-decimals]}.{digits[-decimals:]}"
    return f"{value} (about {_rounded(value)})"


class Calculator:
    """The tool."""

    name = "calculator"
    description = "Computes an arithmetic expression exactly, such as (12 + 3) * 4 / 7."
    parameters: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {"expression": {"type": "string", "description": "What to compute."}},
        "required": ["expression"],
        "additionalProperties": False,
    }
    permission: Permission = "local"
    timeout_s = 5.0

    async def call(self, arguments: Mapping[str, Any]) -> Observation:
        """Computes `arguments["expression"]`.

        Raises:
            InvalidRequest: As `evaluate`.
        """
        return Observation(written(evaluate(arguments["expression"])))


class _Reading:
    """One expression."""

    def __init__(self, text: str) -> None:
        self._text = text

    def value(self, node: ast.expr, depth: int) -> Fraction:
        if depth == 0:
            raise _wrong("The expression is nested too deeply. Compute it in parts.")
        match node:
            case ast.Constant():
                return self._number(node)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.value(operand, depth - 1)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.value(operand, depth - 1)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
                operation = _OPERATIONS[type(op)]
                return _bounded(operation, self.value(left, depth - 1), self.value(right, depth - 1))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
                return _called(name, [self.value(each, depth - 1) for each in args])
            case ast.Tuple():
                raise _wrong("Write numbers without commas: 1234, not 1,234.")
        raise _wrong(_KNOWN_ONLY)

    def _number(self, node: ast.Constant) -> Fraction:
        # From the text, not from the float that Python made of it: 0.1 is one tenth here.
        digits = self._text[node.col_offset : node.end_col_offset]
        if not _NUMBER.fullmatch(digits):
            raise _wrong(_KNOWN_ONLY)
        return _small(Fraction(digits))


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise _wrong("Only whole exponents are known.")
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if bits > 1 and bits * abs(exponent) > 2 * MOST_BITS:
        raise _wrong("The power is too large.")
    # Of 0, 1 and -1 any power is small: only whether the exponent is even matters.
    small = int(exponent) if bits > 1 else (int(exponent) % 2 or 2) * (-1 if exponent < 0 else 1)
    return Fraction(1) if exponent == 0 else Fraction(base**small)


_OPERATIONS: dict[type[ast.operator], _Operation] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda left, right: Fraction(left // right),
    ast.Mod: operator.mod,
    ast.Pow: _power,
}

_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "abs": (1, 1, abs),
    "floor": (1, 1, floor),
    "ceil": (1, 1, ceil),
    "round": (1, 2, lambda value, digits=Fraction(0): round(value, _few_digits(digits))),
    "min": (1, 100, lambda *values: min(values)),
    "max": (1, 100, lambda *values: max(values)),
}
"""Fewest and most arguments, and what it does."""


def _few_digits(digits: Fraction) -> int:
    if digits.denominator != 1 or abs(digits) > MOST_DECIMALS:
        raise _wrong(f"Round to at most {MOST_DECIMALS} digits.")
    return int(digits)


def _called(name: str, values: list[Fraction]) -> Fraction:
    least, most, function = _FUNCTIONS[name]
    if not least <= len(values) <= most:
        raise _wrong(f"{name} takes {least} to {most} numbers.")
    return Fraction(function(*values))


def _bounded(operation: _Operation, left: Fraction, right: Fraction) -> Fraction:
    try:
        return _small(operation(left, right))
    except ZeroDivisionError as error:
        raise _wrong("Division by zero.") from error


def _small(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
        raise _wrong("A number is too large. Compute with smaller ones.")
    return value


def _decimals(denominator: int) -> int | None:
    """How many decimals a fraction needs; None where it never ends or is longer than `MOST_DECIMALS`."""
    return next((n for n in range(1, MOST_DECIMALS + 1) if 10**n % denominator == 0), None)


def _rounded(value: Fraction) -> str:
    """Twelve digits of a value, however large or small it is."""
    scale = len(str(abs(value.numerator))) - len(str(value.denominator))
    if -200 < scale < 200:
        return f"{float(value):.12g}"
    return f"{float(value / Fraction(10) ** scale):.12g}e{scale:+}"


def _wrong(why: str) -> InvalidRequest:
    return InvalidRequest(why, param="expression")
