"""Judges answers by a JSON schema that a caller brings. What is wrong is told without what was expected."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoran_ray.errors import InvalidRequest
from zoran_ray.reasoning.verifier import Verdict
from zoran_ray.tools.schema import MOST_BYTES, CannotCheck, Schema

_WHY = 300


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
    _checked: Schema = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_checked", Schema(self.schema))

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
        try:
            broken = await asyncio.to_thread(self._checked.fault, data)  # it may take half a second
        except CannotCheck:
            raise InvalidRequest(
                "The schema cannot be used. It asks for too much work, or refers to what is not in it.",
                param="schema",
            ) from None
        if broken is None:
            return Verdict(True, score=1.0)
        where = "/".join(map(str, broken.absolute_path)) or "the whole"
        return Verdict(False, f"At {where[:_WHY]}: it breaks the rule '{broken.validator}'.")


def unfenced(text: str) -> str:
    """What stands in the last fenced block of a text, or all of it where there is none."""
    parts = text.split("```")
    if len(parts) < 3:
        return text.strip()
    block = parts[-2] if len(parts) % 2 else parts[-1]
    first, _, rest = block.partition("\n")
    return (rest if first.strip().isalnum() else block).strip()


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
