"""A verifier for answers that must say where they have it from. It knows how many passages there were."""

import re
from dataclasses import dataclass

from zoran_ray.reasoning.verifier import Verdict

NOT_FOUND = "NOT FOUND"
"""What an answer says, and nothing else, where the passages do not answer the question."""

_GROUPS = re.compile(r"\[(\d{1,3}(?:\s{0,2},\s{0,2}\d{1,3}){0,20})\]")
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Cited:
    """The answer cites passages by their numbers, `[1]` or `[1, 3]`, and only such as there are.

    It does not say whether the passages bear the answer out: no rule can.

    Args:
        passages: How many there were.
    """

    passages: int
    name: str = "citations"

    async def __call__(self, answer: str) -> Verdict:
        """Judges an answer."""
        if answer.strip(" .\n\"'*`") == NOT_FOUND:
            return Verdict(True, score=1.0)
        numbers = [int(each) for group in _GROUPS.findall(answer) for each in group.split(",")]
        wrong = list(dict.fromkeys(each for each in numbers if not 1 <= each <= self.passages))
        if wrong:
            named = ", ".join(f"[{each}]" for each in wrong[:_MOST_NAMED])
            return Verdict(False, f"There is no passage {named}; the last one is [{self.passages}].")
        if not numbers:
            return Verdict(
                False, f"It cites no passage. Name one as [1] after each statement, or say {NOT_FOUND}."
            )
        return Verdict(True, score=1.0)
