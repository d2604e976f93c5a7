"""ReAct: thoughts, actions and what tools show, in turn, until the model has its answer.

What a tool shows is data: it stands in a fence, and is cut. A model that asks for the same again, or whose
tools keep failing, is asked for its last word.

Source: Yao et al., "ReAct: Synergizing Reasoning and Acting in Language Models" (ICLR 2023).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pydantic import Field, PrivateAttr

from zoran_ray.errors import ZoranError
from zoran_ray.reasoning.acting import NoTools, Seen, Tools
from zoran_ray.reasoning.budget import BudgetSpent
from zoran_ray.reasoning.completion import NOTHING_USED, Message, Sampling, Used
from zoran_ray.reasoning.fence import fenced
from zoran_ray.reasoning.judging import Jury
from zoran_ray.reasoning.parameters import Parameters
from zoran_ray.reasoning.prompting import user, with_request
from zoran_ray.reasoning.react_text import (
    LAST_WORD,
    MALFORMED,
    MARK,
    STOP,
    Action,
    Final,
    Malformed,
    arguments_of,
    introduction,
    read_turn,
    written,
)
from zoran_ray.reasoning.strategy import Answer, Ask
from zoran_ray.reasoning.together import Trouble, unanswered, why
from zoran_ray.reasoning.trace import Kind
from zoran_ray.reasoning.verifier import Verifier

_MOST_SAID = 20_000
"""Longest turn that stays in the conversation, in characters."""
_AGAIN = "This very call was made before: what it showed stands above. Do something else, or answer."


@dataclass(frozen=True, slots=True)
class _Shown:
    """What stands for an observation where no tool was called."""

    text: str
    ok: bool = False
    truncated: bool = False


class React(Parameters):
    """Thought, action, observation, until there is an answer. Give it tools with `using`."""

    name: ClassVar[str] = "react"

    steps: int = Field(default=8, ge=1, le=64)
    """Most turns of the model before its last word."""
    observation_chars: int = Field(default=4_000, ge=100, le=100_000)
    """Longest result of a tool that the model is shown, in characters."""
    errors_in_a_row: int = Field(default=3, ge=1, le=16)
    """So many failures of tools one after another end it."""
    repeats: int = Field(default=1, ge=0, le=16)
    """How often a call that was made before is answered with a warning; the next one ends it."""
    _tools: Tools = PrivateAttr(default_factory=NoTools)

    def using(self, tools: Tools) -> "React":
        """The same with tools."""
        made = self.model_copy()
        made._tools = tools
        return made

    async def answer(
        self, messages: Sequence[Message], ask: Ask, verifier: Verifier | None = None
    ) -> Answer:
        """As `Strategy`; without tools the model is asked for its last word at once."""
        run = _Run(self, self._tools, messages, ask)
        ended, trouble = await run.to_the_end()
        if run.final is None and not run.best:
            return unanswered(trouble)
        answer = run.best if run.final is None else run.final
        verdict = await Jury(verifier, ask, self.name).judge(answer, run.step)
        detail = {"turns": run.count, "tool_calls": run.calls, "tool_errors": run.errors}
        return Answer(answer, ended, None if verdict is None else verdict.ok, detail)


class _Run:
    """The turns of one question.

    Attributes:
        final: The answer; None until the model gave one.
        best: What comes nearest to an answer without it: the last thought.
        step: Number of the last step in the trace.
        count: Calls of the model.
        calls: Calls of tools.
        errors: Those of them that failed.
    """

    def __init__(self, how: React, tools: Tools, messages: Sequence[Message], ask: Ask) -> None:
        self._how, self._tools, self._ask = how, tools, ask
        self._offers = tools.offers
        self._talk = with_request(messages, introduction(self._offers)) if self._offers else messages
        self._made: set[str] = set()
        self._repeated = self._failed = self._malformed = 0
        self._used = NOTHING_USED
        self.final: str | None = None
        self.best = ""
        self.step = self.count = self.calls = self.errors = 0

    async def to_the_end(self) -> tuple[str, Trouble | None]:
        """Returns: Why it ended, and what stopped it before its time."""
        try:
            ended = await self._turns()
            if self.final is None:
                await self._last_word()
        except (BudgetSpent, ZoranError) as trouble:
            return why(trouble), trouble
        return ended, None

    async def _turns(self) -> str:
        """Goes on until there is an answer, or no sense in it. Returns: Why it ended."""
        for _ in range(self._how.steps if self._offers else 0):
            if reason := self._too_dear():
                return f"budget:{reason}"
            if ended := await self._turn():
                return ended
        return "steps" if self._offers else "done"

    def _too_dear(self) -> str | None:
        """Why one more turn does not fit with a last word after it."""
        most = self._ask.complete.most(self._talk, self._sampling())
        return self._ask.purse.fits(most + most + Used(prompt_tokens=most.completion_tokens))

    async def _turn(self) -> str | None:
        """One turn. Returns: Why there is no other; None where there is."""
        said = await self._said(self._talk)
        try:
            turn = read_turn(said)
            if isinstance(turn, Final):
                self._finish(turn)
                return "done"
            arguments = arguments_of(turn, self._offers)
        except Malformed as error:
            return self._repair(said, str(error))
        self._malformed = 0
        self._think(turn.thought)
        self._note("action", turn.given, tool=turn.tool, arguments=arguments)
        seen, ended = await self._acted(turn, arguments)
        self._note("observation", seen.text, tool=turn.tool, ok=seen.ok, truncated=seen.truncated)
        shown = fenced(seen.text, MARK, self._how.observation_chars, truncated=seen.truncated)
        self._go_on(written(turn), f"Observation:\n{shown}")
        return ended

    async def _acted(self, turn: Action, arguments: dict[str, Any]) -> tuple[Seen, str | None]:
        """What a call showed, and why it was the last one."""
        call = f"{turn.tool} {json.dumps(arguments, sort_keys=True)}"
        if call in self._made:
            self._repeated += 1
            return _Shown(_AGAIN), "repeated" if self._repeated > self._how.repeats else None
        self._made.add(call)
        self.calls += 1
        deadline = min(self._ask.deadline, self._ask.purse.ends)
        seen = await self._tools.call(turn.tool, arguments, deadline=deadline)
        self.errors += not seen.ok
        self._failed = 0 if seen.ok else self._failed + 1
        return seen, "tool_errors" if self._failed >= self._how.errors_in_a_row else None

    def _repair(self, said: str, fault: str) -> str | None:
        """Asks once for a turn that can be read. Returns: Why it is not asked any more."""
        self.best = said.strip() or self.best
        self._note("thought", said, malformed=fault)
        self._malformed += 1
        self._go_on(said, MALFORMED.replace("{why}", fault))
        return "malformed" if self._malformed > 1 else None

    async def _last_word(self) -> None:
        """Asks for the answer without tools."""
        said = await self._said(with_request(self._talk, LAST_WORD))
        try:
            turn = read_turn(said)
        except Malformed:
            turn = Final("", said.strip())
        # A model that still wants to act has at least thought.
        self._finish(turn if isinstance(turn, Final) else Final("", turn.thought or self.best))

    def _finish(self, turn: Final) -> None:
        self._think(turn.thought)
        self._note("answer", turn.answer)
        self.final = turn.answer

    def _think(self, thought: str) -> None:
        if thought:
            self.best = thought
            self._note("thought", thought)

    async def _said(self, talk: Sequence[Message]) -> str:
        said, self._used = await self._ask.one(talk, self._sampling())
        self.count += 1
        return said.text[:_MOST_SAID]

    def _sampling(self) -> Sampling:
        return replace(self._how.sampling(index=self.count), stop=STOP)

    def _note(self, kind: Kind, text: str, **detail: Any) -> None:
        # Of several steps of one call the first has what it used.
        used, self._used = self._used, NOTHING_USED
        self.step = self._ask.trace.step(self._how.name, kind, text, parent=self.step, used=used, **detail)

    def _go_on(self, said: str, request: str) -> None:
        self._talk = (*self._talk, {"role": "assistant", "content": said}, user(request))
