"""Plain values checked against a settings model, with errors that name place, field, found and expected."""

import json
import types
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from zoran_ray.config.document import Location
from zoran_ray.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
Place = Callable[[Location], str]

MAX_PROBLEMS = 5
"""Most problems told at once."""
MAX_SHOWN = 60
"""Longest piece of a bad value shown, in characters."""


def validated(model: type[Model], data: Any, place: Place, *, partial: bool = False) -> Model:
    """`data` as a `model`.

    Values are checked as JSON is, strictly: `"8080"` and `true` are no port.

    Args:
        model: What the data must be.
        data: Plain values.
        place: Says where the value at a path came from, for the message.
        partial: It is one source of several, so what it names may be defined in another.

    Raises:
        ConfigError: One line for each field that is wrong.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{place(())}: found {_shown(data, ())}, expected a mapping of names to values.")
    try:
        return model.model_validate_json(json.dumps(data), strict=True, context={"partial": partial})
    except ValidationError as error:
        problems = _problems(model, data, error.errors(include_url=False), place)
        raise ConfigError("\n".join(problems[:MAX_PROBLEMS]), param=_first_field(data, error)) from None


def field_name(path: Location) -> str:
    """`("models", 0, "scaling")` as people write it: `models[0].scaling`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def nearest(word: str, known: list[str]) -> str:
    """A hint at the known name that `word` was meant to be, or at all of them when there are few."""
    if close := get_close_matches(word, known, n=1, cutoff=0.6):
        return f"did you mean '{close[0]}'?"
    return f"known here: {', '.join(sorted(known))}."


def fields_at(model: type[BaseModel], path: Location) -> list[str]:
    """Names of the fields that may stand at `path` inside `model`."""
    found = annotation_at(model, path)
    if get_origin(found) is Annotated:  # of several kinds
        found = get_args(found)[0]
        return sorted({name for kind in get_args(found) if _is_model(kind) for name in kind.model_fields})
    found = _inner_model(found)
    return list(found.model_fields) if _is_model(found) else []


def annotation_at(model: type[BaseModel], path: Location) -> Any:
    """Type of the field at `path` inside `model`; None if there is none."""
    found: Any = model
    for key in path:
        if isinstance(key, int):
            continue
        if get_origin(found) is dict:
            found = get_args(found)[1]
            continue
        holder = _inner_model(found)
        if not _is_model(holder) or key not in holder.model_fields:
            return None
        found = holder.model_fields[key].annotation
    return found


def _problems(model: type[BaseModel], data: Any, errors: list[ErrorDetails], place: Place) -> list[str]:
    """One line for each field, the alternatives of a union joined by "or"."""
    texts: dict[Location, list[str]] = {}
    for error in errors:
        loc = _untagged(data, error["loc"])
        path = loc if error["type"] == "missing" else _present(data, loc)
        if error["type"] == "too_short" and _at(data, path):
            continue  # pydantic counts only the good items; the bad ones have lines of their own
        texts.setdefault(path, []).append(_trouble(model, path, error))
    lines = []
    for path, found in texts.items():
        opening = f"{place(path)}: {field_name(path)}: " if path else f"{place(path)}: "
        expected = [text.removeprefix("expected ") for text in dict.fromkeys(found)]
        joined = " or ".join(expected)
        if found[0].startswith("expected "):
            joined = f"found {_shown(_at(data, path), path)}, expected {joined}"
        lines.append(opening + joined)
    return lines


def _trouble(model: type[BaseModel], path: Location, error: ErrorDetails) -> str:
    """What is wrong with one field; begins with "expected" where the value found should be told too."""
    match error["type"]:
        case "extra_forbidden":
            return f"no such field; {nearest(str(path[-1]), fields_at(model, path[:-1]))}"
        case "missing":
            return "this field is required"
        case "value_error":
            return error["msg"].removeprefix("Value error, ")
        case "union_tag_not_found":
            return "kind is missing: it says what this is"
        case "union_tag_invalid":
            return f"kind is {error['ctx']['tag']!r}, expected {error['ctx']['expected_tags']}"
        case "too_short":
            return "expected at least one item"
        case "string_pattern_mismatch":
            return f"expected text that matches {error['ctx']['pattern']}"
        case _:
            return "expected " + error["msg"].removeprefix("Input should be ")


def _shown(value: Any, path: Location) -> str:
    if "env" in path:
        return "a value that is not shown"  # the environment of an engine may hold access tokens
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = "null" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


_ABSENT = object()


def _at(data: Any, path: Location) -> Any:
    for key in path:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return data


def _present(data: Any, loc: tuple[int | str, ...]) -> Location:
    """`loc` without pydantic's own tail, such as the names of a union's members."""
    path: Location = ()
    for key in loc:
        if _at(data, (*path, key)) is _ABSENT:
            break
        path = (*path, key)
    return path


def _untagged(data: Any, loc: tuple[int | str, ...]) -> Location:
    """`loc` without the names by which pydantic tells the kinds of a thing apart."""
    path: Location = ()
    for key in loc:
        if _at(data, (*path, key)) is not _ABSENT or key != _at(data, (*path, "kind")):
            path = (*path, key)
    return path


def _first_field(data: Mapping[str, Any], error: ValidationError) -> str | None:
    return field_name(_present(data, error.errors(include_url=False)[0]["loc"])) or None


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _inner_model(annotation: Any) -> Any:
    """The settings model inside `tuple[Model, ...]` or `Model | None`."""
    if get_origin(annotation) in (tuple, list, Union, types.UnionType):
        return next((kind for kind in get_args(annotation) if _is_model(kind)), None)
    return annotation
