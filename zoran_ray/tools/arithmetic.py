"""Exact arithmetic of whole numbers and fractions, bounded in size and time. Pure.

The expression is read with `ast` and never run: only what is named here is known. The calculator for models
reads all of it; the verifier of answers only what is `plain`.
"""

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor
from typing import Any

from zoran_ray.errors import InvalidRequest

MOST_CHARS = 500
MOST_DEPTH = 260
"""Enough for a sum of as many numbers as there is room for."""
MOST_BITS = 4_096
"""Of a result's numerator and of its denominator: about 1,200 digits."""
MOST_ROUNDED = 20
"""Most digits that are rounded to."""

_READ_AS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "∕": "/", "\n": " ", "\t": " "})
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
_KNOWN_PLAINLY = "Only numbers, + - * / and brackets are known here: no powers and no functions."
_PLAIN = re.compile(r"[0-9+\-*/(). ]+")

_Operation = Callable[[Fraction, Fraction], Fraction]


class Expression:
    """One expression.

    Known: whole and decimal numbers, `+ - * / // % **`, `^` as `**`, brackets, and the functions abs, min,
    max, round, floor and ceil.

    Args:
        text: At most `MOST_CHARS` characters; a `=` at its end is overlooked.
        plain: Only numbers, `+ - * /` and brackets are known.

    Raises:
        InvalidRequest: It cannot be computed; says why.
    """

    def __init__(self, text: str, *, plain: bool = False) -> None:
        if len(text) > MOST_CHARS:
            raise _wrong(f"The expression is longer than {MOST_CHARS} characters. Compute it in parts.")
        self._text = text.translate(_READ_AS).replace("^", "**").strip().removesuffix("=").strip()
        if not self._text or not _KNOWN.fullmatch(self._text):
            raise _wrong(_KNOWN_PLAINLY if plain else _KNOWN_ONLY)
        if plain and not _is_plain(self._text):
            raise _wrong(_KNOWN_PLAINLY)
        try:
            self._tree = ast.parse(self._text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise _wrong("This is no complete expression. Write one such as (12 + 3) * 4.") from error

    def value(self) -> Fraction:
        """Its exact value. Raises: InvalidRequest: It has none, or one that is too large."""
        return self._value(self._tree, MOST_DEPTH)

    def numbers(self) -> list[Fraction]:
        """The numbers it uses, each as often as it does, as they are written."""
        return [self._number(node) for node in ast.walk(self._tree) if isinstance(node, ast.Constant)]

    def _value(self, node: ast.expr, depth: int) -> Fraction:
        if depth == 0:
            raise _wrong("The expression is nested too deeply. Compute it in parts.")
        match node:
            case ast.Constant():
                return self._number(node)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._value(operand, depth - 1)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self._value(operand, depth - 1)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
                operation = _OPERATIONS[type(op)]
                return _bounded(operation, self._value(left, depth - 1), self._value(right, depth - 1))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
                return _called(name, [self._value(each, depth - 1) for each in args])
            case ast.Tuple():
                raise _wrong("Write numbers without commas: 1234, not 1,234.")
        raise _wrong(_KNOWN_ONLY)

    def _number(self, node: ast.Constant) -> Fraction:
        # From the text, not from the float that Python made of it: 0.1 is one tenth here.
        digits = self._text[node.col_offset : node.end_col_offset]
        if not _NUMBER.fullmatch(digits):
            raise _wrong(_KNOWN_ONLY)
        return _small(Fraction(digits))


def evaluate(expression: str) -> Fraction:
    """The exact value of an expression. Raises: InvalidRequest: As `Expression`."""
    return Expression(expression).value()


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None and "**" not in text and "//" not in text


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
    if digits.denominator != 1 or abs(digits) > MOST_ROUNDED:
        raise _wrong(f"Round to at most {MOST_ROUNDED} digits.")
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


def _wrong(why: str) -> InvalidRequest:
    return InvalidRequest(why, param="expression")
