"""The role that looks at pictures: asks a model that can see. Who can, models' facts say elsewhere."""

from collections.abc import Sequence
from typing import ClassVar

from zoran_ray.agents.pictures import Pictures
from zoran_ray.reasoning.completion import Message
from zoran_ray.reasoning.cot import ChainOfThought
from zoran_ray.reasoning.strategy import Answer, Ask
from zoran_ray.reasoning.verifier import Verifier


class Vision:
    """Answers a conversation with pictures in it.

    Args:
        pictures: Brings them into the conversation.
    """

    name: ClassVar[str] = "vision"

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    async def answer(
        self, messages: Sequence[Message], ask: Ask, verifier: Verifier | None = None
    ) -> Answer:
        """As `Strategy`. Raises: ZoranError: A picture cannot be had; see `Pictures.inside`."""
        shown = await self._pictures.inside(messages)
        # The question as it is: everything that the model says is its answer.
        return await ChainOfThought(instruction="", marker="").answer(shown, ask, verifier)
