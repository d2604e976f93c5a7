"""The coder: writes code, and runs it where there is a sandbox to run it in. Knows no sandbox.

Without one nothing is run anywhere, and the answer says so: `ran` is false. With a verifier it tries again
after each attempt that was judged wrong.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from zoran_ray.reasoning.acting import NoTools, Tools
from zoran_ray.reasoning.completion import Message
from zoran_ray.reasoning.cot import ChainOfThought
from zoran_ray.reasoning.prompting import with_request
from zoran_ray.reasoning.react import React
from zoran_ray.reasoning.reflexion import Reflexion
from zoran_ray.reasoning.strategy import Answer, Ask, Strategy
from zoran_ray.reasoning.verifier import Verifier

INSTRUCTION = (
    "Answer with code that works as it stands: complete, with its imports, in one fenced block that names"
    " its language. Use the standard library where it is enough. After the block say in a sentence or two"
    " what it does and where its limits are."
)
_NOT_RUN = " You cannot run code here: do not claim that you did."
_RUN = "Run the code before you answer, and mend what fails.\n"


class Coder:
    """Answers with code.

    Args:
        tools: The tool that runs code, and no other; none where there is no sandbox.
    """

    name: ClassVar[str] = "coder"

    def __init__(self, tools: Tools | None = None) -> None:
        self._tools = tools or NoTools()

    async def answer(
        self, messages: Sequence[Message], ask: Ask, verifier: Verifier | None = None
    ) -> Answer:
        """As `Strategy`."""
        if self._tools.offers and verifier is None:
            asked = with_request(messages, _RUN + INSTRUCTION)
            answer = await React().using(self._tools).answer(asked, ask)
            ran = bool(answer.detail.get("tool_calls"))
        else:
            answer = await _writer(verifier).answer(messages, ask, verifier)
            ran = False
        return replace(answer, detail={**answer.detail, "ran": ran})


def _writer(verifier: Verifier | None) -> Strategy:
    """Without a marker, all that the model says is its answer."""
    asked = INSTRUCTION + _NOT_RUN
    kind = ChainOfThought if verifier is None else Reflexion
    return kind(instruction=asked, marker="")
