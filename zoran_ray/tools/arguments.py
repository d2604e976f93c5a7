"""Checks the arguments that a model wrote against a tool's schema. Knows no model and no tool.

What the shared checker cannot bound is left to the tool here: a stranger's tool with a pattern that
cannot be matched in linear time is still of use.
"""

import json
from collections.abc import Mapping
from typing import Any

from jsonschema.exceptions import ValidationError

from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.tools.schema import UNCOUNTED, CannotCheck, Schema

MOST_ARGUMENT_BYTES = 65_536
_MOST_WORDS = 300


class Arguments:
    """The arguments that one tool takes.

    Args:
        schema: A JSON schema (2020-12) of an object.
        owner: Whose, for the error.

    Raises:
        ConfigError: It is no such schema, or cannot be checked.
    """

    def __init__(self, schema: Mapping[str, Any], owner: str) -> None:
        try:
            self._schema = Schema(schema, left_out=UNCOUNTED)
        except InvalidRequest as error:
            raise ConfigError(
                f"The arguments of the tool {owner!r}: {error.message} Mend it, or leave the tool out."
            ) from None
        document = self._schema.document
        if not isinstance(document, dict) or document.get("type") != "object":
            raise ConfigError(f'The schema of the arguments of {owner!r} must be of "type": "object".')

    def fault(self, arguments: object) -> str | None:
        """What is wrong with arguments, in words for a model; None where nothing is."""
        try:
            text = json.dumps(arguments, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            return "They are no JSON."
        if len(text) > MOST_ARGUMENT_BYTES:
            return f"They are longer than {MOST_ARGUMENT_BYTES} bytes."
        try:
            fault = self._schema.fault(json.loads(text))
        except CannotCheck:
            return "They cannot be checked: too much is wrong with them, or with the tool's schema."
        return None if fault is None else _said(fault)


def _said(fault: ValidationError) -> str:
    place = ".".join(str(part) for part in fault.absolute_path)
    words = f"{place}: {fault.message}" if place else fault.message
    return words if len(words) <= _MOST_WORDS else words[:_MOST_WORDS] + " …"
