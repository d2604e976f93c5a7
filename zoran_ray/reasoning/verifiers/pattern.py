"""Judges answers by a pattern that a caller brings."""

from dataclasses import dataclass, field

from zoran_ray.reasoning.verifier import Verdict
from zoran_ray.tools.pattern import MOST_TEXT, Pattern


@dataclass(frozen=True, slots=True)
class Regex:
    """The whole answer matches a pattern; write `.*` around it for a part.

    Args:
        pattern: As Rust's `regex` reads it.

    Raises:
        InvalidRequest: It is no pattern, or too large.
    """

    pattern: str
    name: str = "regex"
    _compiled: Pattern = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        Pattern(self.pattern)  # `a)|(b` is none, though it would be one between our parentheses
        object.__setattr__(self, "_compiled", Pattern(rf"\A(?:{self.pattern})\z"))

    async def __call__(self, answer: str) -> Verdict:
        """Judges an answer."""
        if len(answer) > MOST_TEXT:
            return Verdict(False, f"The answer is longer than {MOST_TEXT} characters.")
        if self._compiled.found_in(answer.strip()):
            return Verdict(True, score=1.0)
        return Verdict(False, "The answer does not have the required form.")
