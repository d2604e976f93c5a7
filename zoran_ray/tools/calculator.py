"""A calculator for models: what an expression makes, written as a model reads it."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar

from zoran_ray.tools.arithmetic import evaluate
from zoran_ray.tools.tool import Observation, Permission

MOST_DECIMALS = 20
"""Of the longest decimal fraction that is written out; others are written as a quotient."""


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


def _decimals(denominator: int) -> int | None:
    """How many decimals a fraction needs; None where it never ends or is longer than `MOST_DECIMALS`."""
    return next((n for n in range(1, MOST_DECIMALS + 1) if 10**n % denominator == 0), None)


def _rounded(value: Fraction) -> str:
    """Twelve digits of a value, however large or small it is."""
    scale = len(str(abs(value.numerator))) - len(str(value.denominator))
    if -200 < scale < 200:
        return f"{float(value):.12g}"
    return f"{float(value / Fraction(10) ** scale):.12g}e{scale:+}"
