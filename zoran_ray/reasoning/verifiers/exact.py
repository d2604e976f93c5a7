"""Compares an answer with the right one."""

from dataclasses import dataclass, field
from fractions import Fraction

from zoran_ray.errors import InvalidRequest
from zoran_ray.reasoning.answers import Form, last_number, vote
from zoran_ray.reasoning.verifier import Verdict

_WRONG = Verdict(False, "The answer is not the right one.")


@dataclass(frozen=True, slots=True)
class Exact:
    """The answer is this one, but for case, spaces and punctuation around it.

    Attributes:
        expected: The right answer.
        compare: How answers are compared.
        name: In traces.
    """

    expected: str = field(repr=False)
    compare: Form = "text"
    name: str = "exact"

    async def __call__(self, answer: str) -> Verdict:
        """Judges an answer."""
        expected = vote(self.expected, self.compare)
        right = expected is not None and vote(answer, self.compare) == expected
        return Verdict(True, score=1.0) if right else _WRONG


@dataclass(frozen=True, slots=True)
class Numeric:
    """The last number of the answer is this one.

    Attributes:
        expected: The right number, as people write numbers.
        tolerance: Largest difference, in units of the number.
        relative: Largest difference as a share of the right number; the larger of both counts.
        name: In traces.

    Raises:
        InvalidRequest: `expected` is no number, or a tolerance is none.
    """

    expected: str = field(repr=False)
    tolerance: float = 0.0
    relative: float = 0.0
    name: str = "numeric"

    def __post_init__(self) -> None:
        if last_number(self.expected) is None:
            raise InvalidRequest("The expected answer has no number in it.", param="expected")
        if not (0 <= self.tolerance <= 1e300 and 0 <= self.relative <= 1e300):
            raise InvalidRequest("A tolerance is a number from 0.", param="tolerance")

    async def __call__(self, answer: str) -> Verdict:
        """Judges an answer."""
        expected, found = last_number(self.expected), last_number(answer)
        if found is None:
            return Verdict(False, "There is no number in the answer.")
        assert expected is not None
        allowed = max(Fraction(self.tolerance), abs(expected) * Fraction(self.relative))
        return Verdict(True, score=1.0) if abs(found - expected) <= allowed else _WRONG
