"""What both forms of ReAct share: turns within a budget, calls of tools, and when to go on no more.

`react_turns` and `react_calls` say how a model is told of tools and how its turns are read.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from zoran_ray.errors import ZoranError
from zoran_ray.reasoning.acting import Seen, Tools
from zoran_ray.reasoning.budget import BudgetSpent
from zoran_ray.reasoning.completion import NOTHING_USED, Completion, Hear, Message, Sampling, Used
from zoran_ray.reasoning.fence import fenced
from zoran_ray.reasoning.parameters import Parameters
from zoran_ray.reasoning.strategy import Ask
from zoran_ray.reasoning.together import Trouble, why
from zoran_ray.reasoning.trace import Kind

MARK = "tool"
"""Name of the fence around what a tool showed."""
MOST_SAID = 20_000
"""Longest turn that stays in the conversation, in characters."""
MOST_AT_ONCE = 4
"""Calls of one turn that run at the same time."""
_AGAIN = "This very call was made before: what it showed stands above. Do something else, or answer."

Called = tuple[str, Mapping[str, Any]]
"""A tool's name and arguments, as the model wrote them."""


class Bounds(Parameters):
    """How ReAct acts, and when it ends."""

    steps: int = Field(default=8, ge=1, le=64)
    """Most turns of the model before its last word."""
    observation_chars: int = Field(default=4_000, ge=100, le=100_000)
    """Longest result of a tool that the model is shown, in characters."""
    errors_in_a_row: int = Field(default=3, ge=1, le=16)
    """So many failures of tools one after another end it."""
    repeats: int = Field(default=1, ge=0, le=16)
    """How often a call that was made before is answered with a warning; the next one ends it."""
    calls: Literal["auto", "native", "text"] = "auto"
    """How the model calls tools: `native` as in chat completions, `text` in words that any model can write;
    `auto` is native where the model is known to have tools."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What stands for an observation where no tool was called."""

    text: str
    ok: bool = False
    truncated: bool = False


class Run(ABC):
    """The turns of one question.

    Args:
        how: The bounds.
        tools: What may be used.
        messages: The conversation.
        ask: The model.
        name: The strategy's, in traces.

    Attributes:
        final: The answer; None until the model gave one.
        best: What comes nearest to an answer without it: the last thought.
        step: Number of the last step in the trace.
        count: Calls of the model.
        calls: Calls of tools.
        errors: Those of them that failed.
    """

    def __init__(self, how: Bounds, tools: Tools, messages: Sequence[Message], ask: Ask, name: str) -> None:
        self._how, self._tools, self._ask, self._name = how, tools, ask, name
        self._offers = tools.offers
        self._talk = self._told(messages) if self._offers else tuple(messages)
        self._made: set[str] = set()
        self._repeated = self._failed = self._malformed = 0
        self._used = NOTHING_USED
        self.final: str | None = None
        self.best = ""
        self.step = self.count = self.calls = self.errors = 0

    @abstractmethod
    def _told(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """The conversation as a model hears it that may use the tools."""

    @abstractmethod
    def _sampling(self) -> Sampling:
        """How to ask for a turn."""

    @abstractmethod
    async def _turn(self) -> str | None:
        """One turn. Returns: Why there is no other; None where there is."""

    @abstractmethod
    async def _last_word(self) -> None:
        """Asks for the answer without tools, and finishes with it."""

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

    @abstractmethod
    def _aloud(self, hear: Hear) -> Hear:
        """What a turn is told to while it is made, so that `hear` gets the thought it begins with."""

    async def _said(self, talk: Sequence[Message], sampling: Sampling) -> Completion:
        """One turn; what is thought in it is heard while it comes."""
        hear = self._ask.trace.aloud(self._name, "thought", self.step)
        heard = None if hear is None else self._aloud(hear)
        said, self._used = await self._ask.one(talk, sampling, heard)
        self.count += 1
        return said

    async def _acted(self, called: Sequence[Called]) -> tuple[list[Seen], str | None]:
        """What the calls of one turn showed, in their order, and why they were the last ones."""
        fresh = [self._is_new(*each) for each in called]
        shown = iter(await self._used_tools([each for each, new in zip(called, fresh, strict=True) if new]))
        ended: str | None = None
        seen: list[Seen] = []
        for new in fresh:
            each = next(shown) if new else Shown(_AGAIN)
            seen.append(each)
            ended = self._counted(each, new=new) or ended
        return seen, ended

    def _is_new(self, tool: str, arguments: Mapping[str, Any]) -> bool:
        call = f"{tool} {json.dumps(arguments, sort_keys=True)}"
        known = call in self._made
        self._made.add(call)
        return not known

    async def _used_tools(self, called: Sequence[Called]) -> list[Seen]:
        """Calls tools at the same time, a few of them; a cancellation stops them all."""
        room = asyncio.Semaphore(MOST_AT_ONCE)
        deadline = min(self._ask.deadline, self._ask.purse.ends)

        async def one(tool: str, arguments: Mapping[str, Any]) -> Seen:
            async with room:
                return await self._tools.call(tool, arguments, deadline=deadline)

        self.calls += len(called)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(*each)) for each in called]
        return [task.result() for task in tasks]

    def _counted(self, seen: Seen, *, new: bool) -> str | None:
        """Keeps count of what was seen. Returns: Why there should be no other turn."""
        if not new:
            self._repeated += 1
            return "repeated" if self._repeated > self._how.repeats else None
        self.errors += not seen.ok
        self._failed = 0 if seen.ok else self._failed + 1
        return "tool_errors" if self._failed >= self._how.errors_in_a_row else None

    def _shown(self, seen: Seen) -> str:
        """What was seen, as the model is shown it."""
        return fenced(seen.text, MARK, self._how.observation_chars, truncated=seen.truncated)

    def _finish(self, thought: str, answer: str) -> None:
        self._think(thought)
        self._note("answer", answer)
        self.final = answer

    def _think(self, thought: str) -> None:
        if thought:
            self.best = thought
            self._note("thought", thought)

    def _note(self, kind: Kind, text: str, **detail: Any) -> None:
        # Of several steps of one call the first has what it used.
        used, self._used = self._used, NOTHING_USED
        self.step = self._ask.trace.step(self._name, kind, text, parent=self.step, used=used, **detail)

    def _note_seen(self, tool: str, seen: Seen) -> None:
        self._note("observation", seen.text, tool=tool, ok=seen.ok, truncated=seen.truncated)
