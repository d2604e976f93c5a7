"""Evaluates what people write as arithmetic: exactly, in bounded time, and nothing else. Pure."""

import ast
import re
from collections.abc import Callable
from fractions import Fraction

from zoran_ray.errors import InvalidRequest

MOST_CHARACTERS = 500
"""Longest expression. It bounds the work too: there are no powers, so no number outgrows the text."""

_ALLOWED = re.compile(r"[0-9+\-*/(). \t]+")
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "∕": "/"})
_BINARY: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}


def evaluate(text: str) -> Fraction:
    """The exact value of an expression of numbers, `+ - * /` and parentheses.

    Raises:
        InvalidRequest: It is none, or divides by zero.
    """
    try:
        return _value(parsed(text))
    except RecursionError:
        raise InvalidRequest("The expression is nested too deeply. Use fewer parentheses.") from None


def parsed(text: str) -> ast.expr:
    """The expression as a tree. Raises: InvalidRequest: It is none."""
    plain = text.strip().translate(_SIGNS)
    if len(plain) > MOST_CHARACTERS:
        raise InvalidRequest(f"The expression is longer than {MOST_CHARACTERS} characters. Shorten it.")
    if not _ALLOWED.fullmatch(plain):
        raise InvalidRequest("An expression consists of numbers, + - * / and parentheses.")
    try:
        return ast.parse(plain, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InvalidRequest("This is no complete expression. Check its parentheses and signs.") from None


def numbers_in(tree: ast.expr) -> list[Fraction]:
    """The numbers an expression uses, each as often as it does, as they are written."""
    return [_number(node) for node in ast.walk(tree) if isinstance(node, ast.Constant)]


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant():
            return _number(node)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _BINARY:
            try:
                return _BINARY[type(operator)](_value(left), _value(right))
            except ZeroDivisionError:
                raise InvalidRequest("The expression divides by zero.") from None
    raise InvalidRequest("An expression has no powers and no calls: only + - * / and parentheses.")


def _number(node: ast.Constant) -> Fraction:
    try:
        # What `repr` shows of a float is the decimal number that was written, up to 15 digits.
        return Fraction(repr(node.value))
    except ValueError:
        raise InvalidRequest("A number in the expression is none, or too large.") from None
