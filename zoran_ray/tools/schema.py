"""The one checker of JSON schemas that strangers bring: in bounded work, without leaving the process.

Left alone, a schema could fetch addresses (`$ref`), run patterns for years, and double its work with each
`allOf`. So references stay inside the schema, patterns are linear, and each keyword that is tried is
counted. What cannot be counted is refused, or left out where whoever uses the value checks it again.

Source: JSON Schema, draft 2020-12.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry

from zoran_ray.errors import InvalidRequest
from zoran_ray.tools.pattern import Pattern

MOST_BYTES = 65_536
"""Longest schema, and longest value, as text."""
MOST_WORK = 60_000
"""Work for one value: keywords tried and items they look at, a pattern's characters four times."""
MOST_DEPTH = 128
"""Of keywords within keywords: a reference to itself ends here, before Python's own limit."""
MOST_FAULTS = 1_000
"""Of one check: each is written with the value at fault."""
_LOOKED_AT = 16
"""Faults from which the one that says most is chosen."""

UNCOUNTED = frozenset({"pattern", "unevaluatedItems", "unevaluatedProperties", "$dynamicRef"})
"""Keywords that may be left out; `pattern` is checked where it is not."""
_REFUSED = (UNCOUNTED - {"pattern"}) | {"patternProperties"}
_BY_NAME = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
_PLAIN = frozenset({"enum", "const", "default", "examples", "required", "dependentRequired"})

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


class CannotCheck(ValueError):
    """A schema asks for too much work, or refers to what is not in it."""


class Schema:
    """A schema, read so that nothing in it can do harm.

    Args:
        document: The schema, draft 2020-12.
        left_out: Keywords of `UNCOUNTED` that are not checked.

    Raises:
        InvalidRequest: It is no schema, too large, or uses what cannot be checked in bounded work.
    """

    def __init__(self, document: Mapping[str, Any], left_out: Collection[str] = ()) -> None:
        try:
            text = json.dumps(document)
            if len(text) > MOST_BYTES:
                raise _invalid(f"It is larger than {MOST_BYTES} characters.")
            self.document = _read(json.loads(text), left_out)
            Draft202012Validator.check_schema(self.document)
        except SchemaError as error:
            place = "/".join(map(str, error.absolute_path))
            raise _invalid(f"It is no JSON Schema: look at '{place[:300]}'.") from None
        except (TypeError, ValueError, RecursionError):
            raise _invalid("It is no plain JSON, or nested too deeply.") from None
        # An empty registry fetches nothing.
        self._validator = _Validator(self.document, registry=Registry())

    def fault(self, value: Any) -> ValidationError | None:
        """What is most wrong with a value; None where nothing is. Its message may quote value and schema.

        Raises:
            CannotCheck: The schema asks for too much.
        """
        _room.set(_Room())
        try:
            found: ValidationError | None = best_match(
                islice(self._validator.iter_errors(value), _LOOKED_AT)
            )
        except Exception:
            # References that lead nowhere or in circles, numbers beyond all bounds, too much of everything.
            raise CannotCheck("too much work, or a reference that leads nowhere") from None
        return found


@dataclass(slots=True)
class _Room:
    work: int = MOST_WORK
    depth: int = MOST_DEPTH
    faults: int = MOST_FAULTS

    def spend(self, work: int) -> None:
        self.work -= work
        if min(self.work, self.depth, self.faults) < 0:
            raise CannotCheck


_room: ContextVar[_Room] = ContextVar("room")


def _counting(keyword: Keyword) -> Keyword:
    def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        room = _room.get()
        room.depth -= 1
        try:
            room.spend(1 + _size(value) + _size(instance))
            for fault in keyword(validator, value, instance, schema) or ():
                room.faults -= 1
                yield fault
        finally:  # whoever has heard enough leaves in the middle
            room.depth += 1

    return counted


def _matches(validator: Any, value: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str):
        _room.get().spend(4 * len(instance))
        if not _pattern(value).found_in(instance):
            yield ValidationError("does not match the pattern")


def _unique(validator: Any, value: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if value and isinstance(instance, list):
        # As text, in one pass: the library compares each item with each. 1 and 1.0 are equal in JSON.
        items = [json.dumps(_level(item), sort_keys=True) for item in instance]
        _room.get().spend(sum(map(len, items)) // 8)
        if len(set(items)) < len(items):
            yield ValidationError("has equal items")


def _comparing(keyword: Keyword) -> Keyword:
    def compared(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        _room.get().spend(len(json.dumps(value)) // 8)
        return keyword(validator, value, instance, schema)

    return compared


def _bounded() -> Any:
    library = Draft202012Validator.VALIDATORS
    same = {name: _comparing(library[name]) for name in ("const", "enum")}
    keywords = {**library, **same, "pattern": _matches, "uniqueItems": _unique}
    counted = {name: _counting(keyword) for name, keyword in keywords.items()}
    return extend(Draft202012Validator, counted)  # type: ignore[no-untyped-call]


_Validator = _bounded()


def _read(schema: Any, left_out: Collection[str]) -> Any:
    """A copy without what is left out. Raises: InvalidRequest: It has what cannot be checked here."""
    if isinstance(schema, list):
        return [_read(item, left_out) for item in schema]
    if not isinstance(schema, dict):
        return schema
    read = {}
    for key, value in schema.items():
        # A `$schema` within would bring back the library's own, unbounded keywords.
        if key == "$schema" or key in left_out:
            continue
        _check(key, value)
        if key in _BY_NAME and isinstance(value, dict):
            read[key] = {name: _read(inner, left_out) for name, inner in value.items()}
        else:
            read[key] = value if key in _PLAIN else _read(value, left_out)
    return read


def _check(key: str, value: Any) -> None:
    if key in _REFUSED:
        raise _invalid(f"'{key}' is not supported here.")
    if key == "$ref" and not str(value).startswith("#"):
        raise _invalid("A '$ref' must begin with '#': nothing is fetched from elsewhere.")
    if key == "pattern" and isinstance(value, str):
        _pattern(value)


@lru_cache(maxsize=256)
def _pattern(text: str) -> Pattern:
    return Pattern(text)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def _level(item: Any) -> Any:
    if isinstance(item, float) and item.is_integer():
        return int(item)
    if isinstance(item, dict):
        return {key: _level(value) for key, value in item.items()}
    return [_level(value) for value in item] if isinstance(item, list) else item


def _invalid(what: str) -> InvalidRequest:
    return InvalidRequest(f"The schema cannot be used. {what}", param="schema")
