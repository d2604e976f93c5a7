"""Chain of thought: one call, the answer taken from its end.

Source: Wei et al., Chain-of-Thought Prompting Elicits Reasoning in Large Language Models, 2022.
"""

from collections.abc import Sequence
from typing import ClassVar

from zoran_ray.reasoning.budget import BudgetSpent
from zoran_ray.reasoning.completion import Message
from zoran_ray.reasoning.judging import Jury
from zoran_ray.reasoning.strategy import Answer, Ask, spent
from zoran_ray.reasoning.thinking import Thinking
from zoran_ray.reasoning.verifier import Verifier


class ChainOfThought(Thinking):
    """One call that thinks step by step."""

    name: ClassVar[str] = "cot"

    async def answer(
        self, messages: Sequence[Message], ask: Ask, verifier: Verifier | None = None
    ) -> Answer:
        """As `Strategy`."""
        try:
            (sample,) = (await self.think(messages, ask, self.name, aloud=True))[:1]
        except BudgetSpent as error:
            return Answer("", ended=spent(error))
        verdict = await Jury(verifier, ask, self.name).judge(sample.answer, sample.step)
        return Answer(sample.answer, verified=None if verdict is None else verdict.ok)
