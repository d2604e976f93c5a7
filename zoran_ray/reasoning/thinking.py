"""One chain of thought: asked for, split into thought and answer, noted. Several strategies stand on it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import Field

from zoran_ray.reasoning.aloud import before_marker
from zoran_ray.reasoning.answers import MARKER, final_answer
from zoran_ray.reasoning.completion import NOTHING_USED, Message
from zoran_ray.reasoning.parameters import Parameters
from zoran_ray.reasoning.prompting import with_request
from zoran_ray.reasoning.strategy import Ask

INSTRUCTION = (
    "Think step by step. End with one line that begins with '{marker}' and holds nothing but the answer."
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer with the thought before it.

    Attributes:
        thought: What came before the answer.
        answer: The answer.
        whole: Whether the model came to an answer, by the marker or by its own end.
        step: Number of the answer's step in the trace: who ended first has the smaller one.
    """

    thought: str = field(repr=False)
    answer: str = field(repr=False)
    whole: bool
    step: int


class Thinking(Parameters):
    """How a chain of thought is asked for."""

    instruction: str = Field(default=INSTRUCTION, max_length=8_000)
    """Follows the question; `{marker}` stands for the marker. Empty: the question is asked as it is."""
    marker: str = Field(default=MARKER, max_length=100)
    """Stands before the answer. Empty: everything is answer."""

    async def think(
        self,
        messages: Sequence[Message],
        ask: Ask,
        strategy: str,
        *,
        index: int = 0,
        n: int = 1,
        parent: int = 0,
        aloud: bool = False,
    ) -> list[Sample]:
        """Asks for `n` chains of thought with one call, the first of which has the seed of sample `index`.

        Args:
            aloud: Whether this one call is all that is waited for: then its thought is heard as it comes.

        Raises:
            BudgetSpent: It does not fit.
            ZoranError: The model did not answer.
        """
        hear = ask.trace.aloud(strategy, "thought", parent) if aloud and n == 1 and self.marker else None
        heard = None if hear is None else before_marker(hear, self.marker)
        said = await ask(self.prompt(messages), self.sampling(n=n, index=index), heard)
        # Until the end nobody else runs: steps are noted in the order of the calls' ends.
        samples = []
        used = said.used
        for choice in said.choices:
            thought, answer, marked = final_answer(choice.text, self.marker)
            before = parent
            if thought:
                before = ask.trace.step(strategy, "thought", thought, parent=parent, used=used)
                used = NOTHING_USED
            step = ask.trace.step(strategy, "answer", answer, parent=before, used=used)
            used = NOTHING_USED
            whole = bool(answer) and (marked or choice.finish != "length")
            samples.append(Sample(thought, answer, whole, step))
        return samples

    def prompt(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The conversation as the model gets it."""
        request = self.instruction.replace("{marker}", self.marker)
        return with_request(messages, request) if request else tuple(messages)
