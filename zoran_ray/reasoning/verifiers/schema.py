"""Checks answers against a JSON Schema that a caller brings: in bounded work, without leaving the process.

Left alone, a schema could fetch addresses (`$ref`), run patterns for years, and double its work with each
`allOf`. So references stay inside the schema, patterns are linear, each keyword that is tried is counted,
and what cannot be counted is refused.

Source: JSON Schema, draft 2020-12.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from zoran_ray.errors import InvalidRequest
from zoran_ray.reasoning.verifier import Verdict
from zoran_ray.reasoning.verifiers.pattern import Pattern

MOST_BYTES = 64 * 1024
"""Longest answer, and longest schema, as text."""
MOST_WORK = 60_000
"""Work for one answer: keywords tried and items they look at, a pattern's characters four times."""

_REFUSED = frozenset({"patternProperties", "unevaluatedItems", "unevaluatedProperties", "$dynamicRef"})
_BY_NAME = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
_PLAIN = frozenset({"enum", "const", "default", "examples", "required", "dependentRequired"})
_WHY = 300

Keyword = Callable[..., Iterator[ValidationError] | None]


class _TooMuchWork(Exception):
    pass


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """The answer is JSON, alone or in a fenced block, that fits a schema.

    Args:
        schema: The schema, draft 2020-12.

    Raises:
        InvalidRequest: It is no schema, too large, or uses what cannot be checked in bounded work.
    """

    schema: Mapping[str, Any] = field(repr=False)
    name: str = "json-schema"

    def __post_init__(self) -> None:
        try:
            size = len(json.dumps(self.schema))
            _refuse(self.schema)
            Draft202012Validator.check_schema(self.schema)
        except SchemaError as error:
            place = "/".join(map(str, error.absolute_path))
            raise _invalid(f"It is no JSON Schema: look at '{place}'.") from None
        except (TypeError, ValueError, RecursionError):
            raise _invalid("It is no plain JSON, or nested too deeply.") from None
        if size > MOST_BYTES:
            raise _invalid(f"It is larger than {MOST_BYTES} characters.")

    async def __call__(self, answer: str) -> Verdict:
        """Judges an answer.

        Raises:
            InvalidRequest: The schema asks for too much work, or refers to what is not in it.
        """
        if len(answer) > MOST_BYTES:
            return Verdict(False, f"The answer is longer than {MOST_BYTES} characters.")
        try:
            data = json.loads(unfenced(answer), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            place = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
            return Verdict(False, f"The answer is no JSON{place}.")
        broken = await asyncio.to_thread(self._broken, data)  # the most it may take is half a second
        if broken is None:
            return Verdict(True, score=1.0)
        where = "/".join(map(str, broken.absolute_path)) or "the whole"
        return Verdict(False, f"At {where[:_WHY]}: it breaks the rule '{broken.validator}'.")

    def _broken(self, data: Any) -> ValidationError | None:
        try:
            return next(_counted()(self.schema, registry=Registry()).iter_errors(data), None)
        except (_TooMuchWork, RecursionError, Unresolvable, ArithmeticError):
            raise _invalid("It asks for too much work, or refers to what is not in it.") from None


def unfenced(text: str) -> str:
    """What stands in the last fenced block of a text, or all of it where there is none."""
    parts = text.split("```")
    if len(parts) < 3:
        return text.strip()
    block = parts[-2] if len(parts) % 2 else parts[-1]
    first, _, rest = block.partition("\n")
    return (rest if first.strip().isalnum() else block).strip()


def _counted() -> Any:
    """A validator whose keywords share one bound."""
    left = MOST_WORK

    def spend(work: int) -> None:
        nonlocal left
        left -= work
        if left < 0:
            raise _TooMuchWork

    def counting(keyword: Keyword) -> Keyword:
        def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
            spend(1 + _size(value) + _size(instance))
            yield from keyword(validator, value, instance, schema) or ()

        return counted

    def pattern(validator: Any, value: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if isinstance(instance, str):
            spend(4 * len(instance))
            if not _pattern(value).found_in(instance):
                yield ValidationError("does not match")

    def unique(validator: Any, value: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if value and isinstance(instance, list):
            # As text, in one pass: the library compares each item with each. 1 and 1.0 are equal in JSON.
            items = [json.dumps(_level(item), sort_keys=True) for item in instance]
            spend(sum(map(len, items)) // 8)
            if len(set(items)) < len(items):
                yield ValidationError("has equal items")

    def equal(keyword: Keyword) -> Keyword:
        def compared(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
            spend(len(json.dumps(value)) // 8)
            return keyword(validator, value, instance, schema)

        return compared

    library = Draft202012Validator.VALIDATORS
    same = {name: equal(library[name]) for name in ("const", "enum")}
    keywords = {**library, **same, "pattern": pattern, "uniqueItems": unique}
    counted = {name: counting(keyword) for name, keyword in keywords.items()}
    return extend(Draft202012Validator, counted)  # type: ignore[no-untyped-call]


def _size(value: Any) -> int:
    return len(value) if isinstance(value, list | dict) else 0


@lru_cache(maxsize=256)
def _pattern(text: str) -> Pattern:
    return Pattern(text)


def _level(item: Any) -> Any:
    if isinstance(item, float) and item.is_integer():
        return int(item)
    if isinstance(item, dict):
        return {key: _level(value) for key, value in item.items()}
    return [_level(value) for value in item] if isinstance(item, list) else item


def _refuse(schema: Any) -> None:
    """Raises: InvalidRequest: The schema has a keyword whose work cannot be counted, or leads outside."""
    if isinstance(schema, list):
        for item in schema:
            _refuse(item)
    if not isinstance(schema, Mapping):
        return
    for key, value in schema.items():
        if key in _REFUSED:
            raise _invalid(f"'{key}' is not supported here.")
        if key == "$ref" and not str(value).startswith("#"):
            raise _invalid("A '$ref' must begin with '#': nothing is fetched from elsewhere.")
        if key == "pattern" and isinstance(value, str):
            _pattern(value)
        if key in _BY_NAME and isinstance(value, Mapping):
            for inner in value.values():
                _refuse(inner)
        elif key not in _PLAIN:
            _refuse(value)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _invalid(what: str) -> InvalidRequest:
    return InvalidRequest(f"The schema cannot be used. {what}", param="schema")
