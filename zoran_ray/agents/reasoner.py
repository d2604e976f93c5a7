"""The reasoner: thinks about the question with a strategy. Knows no tool and no file."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from zoran_ray.reasoning.completion import Message
from zoran_ray.reasoning.strategy import Answer, Ask, Strategy
from zoran_ray.reasoning.verifier import Verifier


class Reasoner:
    """Answers with a strategy, and says with which.

    Args:
        strategy: How it thinks.
    """

    name: ClassVar[str] = "reasoner"

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy

    async def answer(
        self, messages: Sequence[Message], ask: Ask, verifier: Verifier | None = None
    ) -> Answer:
        """As `Strategy`."""
        answer = await self._strategy.answer(messages, ask, verifier)
        return replace(answer, detail={"strategy": self._strategy.name, **answer.detail})
