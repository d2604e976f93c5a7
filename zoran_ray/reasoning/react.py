"""ReAct: thoughts, actions and what tools show, in turn, until the model has its answer.

What a tool shows is data: it stands in a fence, and is cut. A model that asks for the same again, or whose
tools keep failing, is asked for its last word. Where the model knows calls of tools they are calls, else
they are text.

Source: Yao et al., "ReAct: Synergizing Reasoning and Acting in Language Models" (ICLR 2023).
"""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import PrivateAttr

from zoran_ray.reasoning.acting import Tools
from zoran_ray.reasoning.completion import Message
from zoran_ray.reasoning.judging import Jury
from zoran_ray.reasoning.react_calls import CallingRun
from zoran_ray.reasoning.react_run import Bounds
from zoran_ray.reasoning.react_turns import TalkingRun
from zoran_ray.reasoning.strategy import Answer, Ask
from zoran_ray.reasoning.together import unanswered
from zoran_ray.reasoning.verifier import Verifier


class React(Bounds):
    """Thought, action, observation, until there is an answer. With the request's tools, or those given."""

    name: ClassVar[str] = "react"

    _tools: Tools | None = PrivateAttr(default=None)

    def using(self, tools: Tools) -> "React":
        """The same with tools of its own."""
        made = self.model_copy()
        made._tools = tools
        return made

    async def answer(
        self, messages: Sequence[Message], ask: Ask, verifier: Verifier | None = None
    ) -> Answer:
        """As `Strategy`; without tools the model is asked for its last word at once.

        Raises:
            ZoranError: The model gave no answer, or the request's tools cannot be had.
        """
        tools = await ask.tools() if self._tools is None else self._tools
        native = self.calls == "native" or (self.calls == "auto" and ask.calls_tools)
        kind = CallingRun if native and tools.offers else TalkingRun
        run = kind(self, tools, messages, ask, self.name)
        ended, trouble = await run.to_the_end()
        if run.final is None and not run.best:
            return unanswered(trouble)
        answer = run.best if run.final is None else run.final
        verdict = await Jury(verifier, ask, self.name).judge(answer, run.step)
        detail = {"turns": run.count, "tool_calls": run.calls, "tool_errors": run.errors}
        return Answer(answer, ended, None if verdict is None else verdict.ok, detail)
