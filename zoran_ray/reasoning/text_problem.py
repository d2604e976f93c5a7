"""Any question as a problem of steps in plain words."""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from zoran_ray.reasoning.answers import MARKER, final_answer, vote
from zoran_ray.reasoning.completion import Message
from zoran_ray.reasoning.prompting import with_request

Steps = tuple[str, ...]

MOST_STEP = 2_000
"""Longest step, in characters."""

_NUMBERED = re.compile(r"\s{0,8}(?:\d{1,3}[.):]|[-*•])\s+")
_GROUND = (
    "Work on this step by step. A step is one or two sentences that bring the answer nearer. The step that "
    "gives the answer begins with '{marker}' and holds nothing but the answer."
)
_PROPOSE = "Write {branch} different possibilities for the next step, each on a line of its own, numbered."
_FINISH = (
    "The next step must give the answer. Write {branch} different possibilities, each on a line of its own."
)
_VALUE = (
    "Judge these steps, not their style: can they lead to a right answer, or is this answer right? Look "
    "for a mistake first. End with one word on the last line: sure, likely or impossible."
)


@dataclass(frozen=True, slots=True)
class TextProblem:
    """A conversation whose last question is answered in steps.

    Attributes:
        messages: The conversation.
        depth: Most steps, the answer being the last.
        branch: How many next steps are asked for.
        marker: Begins the step that gives the answer.
    """

    messages: Sequence[Message]
    depth: int = 3
    branch: int = 5
    marker: str = MARKER

    def start(self) -> Steps:
        """No step."""
        return ()

    def propose(self, state: Steps) -> Sequence[Message]:
        """Asks for next steps; at the last level for answers."""
        request = _FINISH if len(state) + 1 >= self.depth else _PROPOSE
        return self._asked(state, request.replace("{branch}", str(self.branch)))

    def steps(self, said: str) -> Sequence[str]:
        """Each numbered line with what follows it; each line where nothing is numbered."""
        lines = [line for line in said.splitlines() if line.strip()]
        if not any(_NUMBERED.match(line) for line in lines):
            return [line.strip() for line in lines]
        found: list[list[str]] = []
        for line in lines:
            if opening := _NUMBERED.match(line):
                found.append([line[opening.end() :]])
            elif found:  # what stands before the first number is an introduction
                found[-1].append(line)
        return ["\n".join(step).strip() for step in found]

    def legal(self, state: Steps, step: str) -> Steps | None:
        """A step says something new, is no novel, and gives the answer at the last level."""
        over = self.answer(state) is not None or len(state) >= self.depth
        if over or not step.strip() or len(step) > MOST_STEP:
            return None
        if vote(step, "text") in {vote(earlier, "text") for earlier in state}:
            return None
        longer = (*state, step)
        if len(longer) == self.depth and self.answer(longer) is None:
            longer = (*state, f"{self.marker} {step}")  # asked for the answer, it forgot the marker
        return longer

    def key(self, state: Steps) -> Hashable:
        """Equal answers are the same, whatever the steps before; else equal steps in the same order."""
        answer = self.answer(state)
        if answer is not None:
            return "answer", vote(answer)
        return tuple(vote(step, "text") for step in state)

    def value(self, state: Steps) -> Sequence[Message]:
        """Asks for a judgement."""
        return self._asked(state, _VALUE)

    def answer(self, state: Steps) -> str | None:
        """What stands behind the marker of the last step."""
        if not state:
            return None
        _, answer, marked = final_answer(state[-1], self.marker)
        return answer if marked and answer else None

    def show(self, state: Steps) -> str:
        """The steps, numbered."""
        return "\n".join(f"{number}. {step}" for number, step in enumerate(state, 1))

    def _asked(self, state: Steps, request: str) -> Sequence[Message]:
        ground = _GROUND.replace("{marker}", self.marker)
        steps = f"Steps so far:\n{self.show(state)}" if state else "There are no steps yet."
        return with_request(self.messages, f"{ground}\n\n{steps}\n\n{request}")
