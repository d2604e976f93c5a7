"""Checks a tool's arguments against its JSON schema. Neither a schema nor arguments can make it slow.

Schemas come from strangers too (MCP servers, entry points), arguments from models. So a check may do only
so much, and references stay within the schema. What no count can bound is left to the tool: `pattern`,
`uniqueItems`, `unevaluated…` and `$dynamicRef` are not checked; `patternProperties` is refused.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry

from zoran_ray.errors import ConfigError

MOST_SCHEMA_BYTES = 65_536
MOST_ARGUMENT_BYTES = 65_536
MOST_WORK = 20_000
"""Of one check: keywords looked at, and what they and the values they look at hold."""
MOST_DEPTH = 64
"""Of keywords within keywords: a reference to itself ends here, long before Python's own limit."""
MOST_FAULTS = 1_000
"""Of one check: each is written with the value at fault."""
_MOST_WORDS = 300

_Check = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


class _TooMuch(Exception):
    """A check does more than it may."""


@dataclass(slots=True)
class _Room:
    work: int = MOST_WORK
    depth: int = MOST_DEPTH
    faults: int = MOST_FAULTS


_room: ContextVar[_Room] = ContextVar("room")


def _size(value: object) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def _bounded(check: _Check) -> _Check:
    def bounded(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        room = _room.get()
        room.work -= 1 + _size(value) + _size(instance)
        room.depth -= 1
        for fault in _within(room, check(validator, value, instance, schema)):
            room.faults -= 1
            yield fault
        room.depth += 1

    return bounded


def _within(room: _Room, faults: Iterator[ValidationError] | None) -> Iterator[ValidationError]:
    if min(room.work, room.depth, room.faults) < 0:
        raise _TooMuch
    yield from faults or ()


def _unchecked(validator: Any, value: Any, instance: Any, schema: Any) -> None:
    return None


_LEFT_TO_THE_TOOL = ("pattern", "uniqueItems", "unevaluatedItems", "unevaluatedProperties", "$dynamicRef")
_Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {word: _bounded(check) for word, check in Draft202012Validator.VALIDATORS.items()}
    | dict.fromkeys(_LEFT_TO_THE_TOOL, _unchecked),
)


class Arguments:
    """The arguments that one tool takes.

    Args:
        schema: A JSON schema (2020-12) of an object.
        owner: Whose, for the error.

    Raises:
        ConfigError: It is no such schema, or too large.
    """

    def __init__(self, schema: Mapping[str, Any], owner: str) -> None:
        try:
            text = json.dumps(schema)
            if len(text) > MOST_SCHEMA_BYTES or '"patternProperties"' in text:
                raise ValueError
            # A `$schema` within would bring back the checks that are left out here.
            read = json.loads(
                text, object_hook=lambda part: {k: v for k, v in part.items() if k != "$schema"}
            )
            Draft202012Validator.check_schema(read)
        except Exception as error:
            raise ConfigError(
                f"The schema of the arguments of {owner!r} is not JSON Schema 2020-12 without"
                f" patternProperties, of at most {MOST_SCHEMA_BYTES} bytes. Mend it, or leave the tool out."
            ) from error
        if not isinstance(read, dict) or read.get("type") != "object":
            raise ConfigError(f'The schema of the arguments of {owner!r} must be of "type": "object".')
        # An empty registry fetches nothing.
        self._validator = _Validator(read, registry=Registry())

    def fault(self, arguments: object) -> str | None:
        """What is wrong with arguments, in words for a model; None where nothing is."""
        try:
            text = json.dumps(arguments, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            return "They are no JSON."
        if len(text) > MOST_ARGUMENT_BYTES:
            return f"They are longer than {MOST_ARGUMENT_BYTES} bytes."
        _room.set(_Room())
        try:
            fault = best_match(islice(self._validator.iter_errors(json.loads(text)), 16))
        except Exception:
            # References that lead nowhere or in circles, or too much of everything.
            return "They cannot be checked: too much is wrong with them, or with the tool's schema."
        return None if fault is None else _said(fault)


def _said(fault: ValidationError) -> str:
    place = ".".join(str(part) for part in fault.absolute_path)
    words = f"{place}: {fault.message}" if place else fault.message
    return words if len(words) <= _MOST_WORDS else words[:_MOST_WORDS] + " …"
