"""Logic-of-Thought: the logic of a text is extracted, extended by laws, and told with the text.

One call extracts propositions and rules, one more repairs them where they cannot be read; what follows from
them is computed, not guessed; any strategy answers then. A text without rules is answered as it is.

Source: Liu et al., "Logic-of-Thought: Injecting Logic into Contexts for Full Reasoning in Large Language
Models" (NAACL 2025).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field, PrivateAttr

from zoran_ray.errors import ZoranError
from zoran_ray.reasoning.budget import BudgetSpent
from zoran_ray.reasoning.completion import Message, Sampling
from zoran_ray.reasoning.cot import ChainOfThought
from zoran_ray.reasoning.logic import extend
from zoran_ray.reasoning.lot_text import DERIVED, EXTRACT, REPAIR, Logic, Malformed, read_logic, sentences
from zoran_ray.reasoning.parameters import MOST_TOKENS
from zoran_ray.reasoning.prompting import user, with_request
from zoran_ray.reasoning.strategy import Answer, Ask, Strategy
from zoran_ray.reasoning.thinking import Thinking
from zoran_ray.reasoning.together import why
from zoran_ray.reasoning.verifier import Verifier

_MOST_SHOWN = 8_000
"""Longest unreadable answer that its repair is shown, in characters."""


class _Skip(Exception):
    """Nothing is known that could be told; says why."""


class LogicOfThought(Thinking):
    """What follows by logic is told first; then a chain of thought, or another strategy, answers."""

    name: ClassVar[str] = "lot"

    extraction_tokens: int = Field(default=1_024, ge=1, le=MOST_TOKENS)
    """Longest logic that is extracted."""
    _inner: Strategy | None = PrivateAttr(default=None)

    def around(self, inner: Strategy) -> "LogicOfThought":
        """The same with another strategy that answers."""
        made = self.model_copy()
        made._inner = inner
        return made

    async def answer(
        self, messages: Sequence[Message], ask: Ask, verifier: Verifier | None = None
    ) -> Answer:
        """As `Strategy`."""
        inner = self._inner or ChainOfThought(**{key: getattr(self, key) for key in Thinking.model_fields})
        try:
            logic, step = await self._extracted(messages, ask)
            told, found = self._told(messages, logic, ask, step)
        except _Skip as skip:
            told, found = messages, {"skipped": str(skip)}
            ask.trace.step(self.name, "note", f"Answered without logic: {skip}", skipped=str(skip))
        answer = await inner.answer(told, ask, verifier)
        return replace(answer, detail={**answer.detail, "inner": inner.name, "logic": found})

    async def _extracted(self, messages: Sequence[Message], ask: Ask) -> tuple[Logic, int]:
        asked = with_request(messages, EXTRACT)
        fault = ""
        for repairing in (False, True):
            said, step = await self._said(asked, ask, repairing=repairing)
            try:
                return read_logic(said), step
            except Malformed as error:
                fault = str(error)
            shown: Message = {"role": "assistant", "content": said[:_MOST_SHOWN]}
            asked = (*asked, shown, user(REPAIR.replace("{why}", fault)))
        raise _Skip("malformed")

    async def _said(self, asked: Sequence[Message], ask: Ask, *, repairing: bool) -> tuple[str, int]:
        sampling = Sampling(max_tokens=self.extraction_tokens, seed=self.seed)
        # Logic is worth nothing without room for the answer.
        answering = replace(sampling, max_tokens=self.max_tokens)
        room = ask.complete.most(asked, sampling) + ask.complete.most(asked, answering)
        if reason := ask.purse.fits(room):
            raise _Skip(f"budget:{reason}")
        try:
            said, used = await ask.one(asked, sampling)
        except (BudgetSpent, ZoranError) as trouble:
            raise _Skip(why(trouble)) from trouble
        return said.text, ask.trace.step(self.name, "thought", said.text, used=used, repair=repairing)

    def _told(
        self, messages: Sequence[Message], logic: Logic, ask: Ask, step: int
    ) -> tuple[Sequence[Message], dict[str, Any]]:
        """The conversation with what follows, and how much that was."""
        if not logic.has_rules:
            raise _Skip("no rules")
        extension = extend(logic.rules)
        if extension.contradictory:
            # A text seldom contradicts itself; its extraction does.
            raise _Skip("contradictory")
        facts = sentences(extension.derived, logic.statements)
        if not facts:
            raise _Skip("nothing follows")
        said = DERIVED.replace("{facts}", "\n".join(f"- {fact}" for fact in facts))
        found: dict[str, Any] = {
            "propositions": len(logic.statements),
            "rules": len(logic.rules),
            "derived": len(extension.derived),
            "told": len(facts),
            "capped": extension.capped,
        }
        ask.trace.step(self.name, "thought", said, parent=step, **found)
        return with_request(messages, said), found
