"""The coder: writes code, and runs it where the request has a tool for that. Knows no sandbox.

Without one nothing is run anywhere. `ran` of the answer says whether a program ran to its end and failed
not. With a verifier it tries again after each attempt that was judged wrong.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from zoran_ray.reasoning.acting import NoTools
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
    """Answers with code. The tools of its requests are the one that runs code, or none."""

    name: ClassVar[str] = "coder"

    async def answer(
        self, messages: Sequence[Message], ask: Ask, verifier: Verifier | None = None
    ) -> Answer:
        """As `Strategy`. Raises: ZoranError: The model gave no answer, or the tools cannot be had."""
        tools = NoTools() if verifier is not None else await ask.tools()
        if not tools.offers:
            answer = await _writer(verifier).answer(messages, ask, verifier)
            return replace(answer, detail={**answer.detail, "ran": False})
        asked = with_request(messages, _RUN + INSTRUCTION)
        answer = await React().using(tools).answer(asked, ask)
        ran = answer.detail.get("tool_calls", 0) > answer.detail.get("tool_errors", 0)
        return replace(answer, detail={**answer.detail, "ran": ran})


def _writer(verifier: Verifier | None) -> Strategy:
    """Without a marker, all that the model says is its answer."""
    asked = INSTRUCTION + _NOT_RUN
    kind = ChainOfThought if verifier is None else Reflexion
    return kind(instruction=asked, marker="")
