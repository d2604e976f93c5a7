"""Verifiers as requests and files ask for them: `{"kind": "numeric", "expected": 42}`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from zoran_ray.config.validation import nearest, validated
from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.reasoning.answers import Form
from zoran_ray.reasoning.verifier import Verifier
from zoran_ray.reasoning.verifiers.arithmetic import Arithmetic
from zoran_ray.reasoning.verifiers.code import MOST_CODE, UnitTests
from zoran_ray.reasoning.verifiers.exact import Exact, Numeric
from zoran_ray.reasoning.verifiers.pattern import Regex
from zoran_ray.reasoning.verifiers.schema import JsonSchema
from zoran_ray.reasoning.verifiers.user import UserSupplied
from zoran_ray.tools.code_runner import CodeRunner, NoRunner
from zoran_ray.tools.pattern import MOST_PATTERN

Own = Mapping[str, UserSupplied]
"""Verifiers that are the operator's functions, by name."""
_MOST = 10**15


class _Asked(BaseModel, ABC):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    def verifier(self, runner: CodeRunner, own: Own) -> Verifier:
        """The verifier; code in answers runs in the runner.

        Raises:
            InvalidRequest: There is none such.
        """


class _Exact(_Asked):
    expected: str = Field(max_length=10_000)
    compare: Form = "text"

    def verifier(self, runner: CodeRunner, own: Own) -> Verifier:
        return Exact(self.expected, self.compare)


class _Numeric(_Asked):
    expected: int | float | str = Field(union_mode="left_to_right")
    tolerance: float = Field(default=0.0, ge=0, le=_MOST, allow_inf_nan=False)
    relative: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)

    def verifier(self, runner: CodeRunner, own: Own) -> Verifier:
        return Numeric(str(self.expected)[:100], self.tolerance, self.relative)


class _Schema(_Asked):
    document: dict[str, Any] = Field(alias="schema")

    def verifier(self, runner: CodeRunner, own: Own) -> Verifier:
        return JsonSchema(self.document)


class _Regex(_Asked):
    pattern: str = Field(max_length=MOST_PATTERN)

    def verifier(self, runner: CodeRunner, own: Own) -> Verifier:
        return Regex(self.pattern)


class _Arithmetic(_Asked):
    target: int = Field(ge=-_MOST, le=_MOST)
    numbers: tuple[int, ...] | None = Field(default=None, max_length=32)

    def verifier(self, runner: CodeRunner, own: Own) -> Verifier:
        numbers = None if self.numbers is None else tuple(map(Fraction, self.numbers))
        return Arithmetic(Fraction(self.target), numbers)


class _UnitTests(_Asked):
    tests: str = Field(min_length=1, max_length=MOST_CODE)
    seconds: float = Field(default=10.0, gt=0, le=120, allow_inf_nan=False)
    tell: bool = False

    def verifier(self, runner: CodeRunner, own: Own) -> Verifier:
        return UnitTests(runner, self.tests, self.seconds, self.tell)


class _Own(_Asked):
    name: str = Field(max_length=64)
    arguments: dict[str, Any] = Field(default={}, max_length=32)

    def verifier(self, runner: CodeRunner, own: Own) -> Verifier:
        if self.name not in own:
            hint = nearest(self.name, list(own)) if own else "'reasoning.verifiers' is empty here."
            raise InvalidRequest(f"There is no verifier of that name; {hint}", param="name")
        return own[self.name].given(self.arguments)


KINDS: Mapping[str, type[_Asked]] = {
    "exact": _Exact,
    "numeric": _Numeric,
    "json-schema": _Schema,
    "regex": _Regex,
    "arithmetic": _Arithmetic,
    "unit-tests": _UnitTests,
    "own": _Own,
}
"""What may be asked for, by kind."""


def verifier_of(
    asked: Mapping[str, Any], runner: CodeRunner | None = None, own: Own | None = None
) -> Verifier:
    """The verifier of a request.

    Args:
        asked: `kind`, and the fields of that kind.
        runner: The sandbox in which code in answers is tested; without one it never is.
        own: The operator's functions; None for none.

    Raises:
        InvalidRequest: There is no such verifier or field; says which there are, `param` says where.
    """
    fields = dict(asked)
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        hint = nearest(str(kind)[:64], list(KINDS))
        raise InvalidRequest(f"There is no such kind of verifier; {hint}", param="kind")
    try:
        return validated(KINDS[kind], fields, lambda path: f"verifier '{kind}'").verifier(
            runner or NoRunner(), own or {}
        )
    except ConfigError as error:
        # Its text may show what was found, and an expected answer is nobody else's business.
        what = f"The field '{error.param}' is wrong or missing." if error.param else "Its fields are wrong."
        known = ", ".join(field.alias or name for name, field in KINDS[kind].model_fields.items())
        raise InvalidRequest(f"verifier '{kind}': {what} Its fields: {known}.", param=error.param) from None
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequest(f"verifier '{kind}': its fields are no plain JSON.") from None
