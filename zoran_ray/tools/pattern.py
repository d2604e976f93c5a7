"""Patterns that callers bring, matched in time linear in the text.

Python's `re` can be made to run for years by a pattern of twenty characters, and nothing can stop it.
Rust's engine, which pydantic brings along, has no backtracking; it has no look-around and no references to
groups either. Its time is bounded by pattern times text, so both are bounded here.

Source: https://docs.rs/regex, "Untrusted input".
"""

import re
from dataclasses import dataclass, field

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

from zoran_ray.errors import InvalidRequest

MOST_PATTERN = 500
"""Longest pattern, in characters."""
MOST_TEXT = 8_000
"""Longest text that is matched, in characters."""
MOST_REPEATS = 2_500
"""Largest product of all the repetitions a pattern counts, such as 6 of `a{2}b{1,3}`."""

_COUNTED = re.compile(r"\{(\d{1,500})(?:,(\d{0,500}))?\}")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern.

    Args:
        text: The pattern, as Rust's `regex` reads it.

    Raises:
        InvalidRequest: It is none, or too large.
    """

    text: str
    _engine: SchemaValidator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.text) > MOST_PATTERN or _repeats(self.text) > MOST_REPEATS:
            raise InvalidRequest(
                f"The pattern is too large: at most {MOST_PATTERN} characters, and counted repetitions "
                f"that multiply to at most {MOST_REPEATS}. Use + or * instead of large counts.",
                param="pattern",
            )
        try:
            schema = core_schema.str_schema(pattern=self.text, regex_engine="rust-regex")
            object.__setattr__(self, "_engine", SchemaValidator(schema))
        except SchemaError:
            raise InvalidRequest(
                "The pattern cannot be used: it is no regular expression, or has look-around, references "
                "to groups or too large repetitions, which cannot be matched in bounded time.",
                param="pattern",
            ) from None

    def found_in(self, text: str) -> bool:
        """Whether it matches anywhere in a text of at most `MOST_TEXT` characters, and never in more."""
        if len(text) > MOST_TEXT:
            return False
        try:
            self._engine.validate_python(text)
        except ValidationError:
            return False
        return True


def _repeats(pattern: str) -> int:
    product = 1
    for low, high in _COUNTED.findall(pattern):
        product *= max(1, int(high or low))
        if product > MOST_REPEATS:
            break
    return product
