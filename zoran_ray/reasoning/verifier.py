"""What judges steps and answers from outside.

It may test whether a step is legal and whether an answer is right, never whether something can be solved.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier says.

    Attributes:
        ok: Whether the answer is right, or the step legal.
        why: What is wrong, in words that do not give the right answer away.
        score: 0..1 where there are degrees.
    """

    ok: bool
    why: str = ""
    score: float = 0.0


class Verifier(Protocol):
    """Judges answers. Whoever calls it bounds its time; one that raises has not judged."""

    @property
    def name(self) -> str: ...

    async def __call__(self, answer: str) -> Verdict: ...
