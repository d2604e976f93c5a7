"""The retriever: answers from the passages of an index, and names the line each statement stands on.

What it was not given it does not cite, see `zoran_ray.rag.answer`. Knows no index.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from zoran_ray.rag import Answered, Passage, Search
from zoran_ray.rag.answer import NOTHING_FITS, answering
from zoran_ray.reasoning.budget import BudgetSpent
from zoran_ray.reasoning.completion import Message, Sampling
from zoran_ray.reasoning.judging import Jury
from zoran_ray.reasoning.prompting import question_of
from zoran_ray.reasoning.strategy import Answer, Ask, spent
from zoran_ray.reasoning.verifier import Verifier

PASSAGES = 8
"""Most passages that are looked at."""
_SAMPLING = Sampling(max_tokens=600)
_MOST_QUESTION = 4_000
_MOST_NAMED = 5


class Retriever:
    """Answers the last question of a conversation from passages.

    Args:
        search: Finds them.
        secret: Gives 16 to 64 bytes that no file can know.
    """

    name: ClassVar[str] = "retriever"

    def __init__(
        self, search: Search, secret: Callable[[], bytes] = lambda: secrets.token_bytes(32)
    ) -> None:
        self._search = search
        self._secret = secret

    async def answer(
        self, messages: Sequence[Message], ask: Ask, verifier: Verifier | None = None
    ) -> Answer:
        """As `Strategy`; `detail` says whether anything was found, and where it stands."""
        question = question_of(messages)[:_MOST_QUESTION]
        found = await self._search(question, PASSAGES) if question.strip() else ()
        places = "\n".join(each.place for each in found)
        step = ask.trace.step(self.name, "observation", places or NOTHING_FITS, passages=len(found))
        try:
            told = await self._told(question, found, ask, step)
        except BudgetSpent as error:
            return Answer("", spent(error), detail={"found": False, "citations": []})
        noted = ask.trace.step(self.name, "answer", told.text, parent=step)
        verdict = await Jury(verifier, ask, self.name).judge(told.text, noted)
        return Answer(told.text, "done", None if verdict is None else verdict.ok, _detail(told))

    async def _told(self, question: str, found: Sequence[Passage], ask: Ask, step: int) -> Answered:
        work = answering(question, found, self._secret())
        try:
            asked = next(work)
            while True:
                said, used = await ask.one(asked, _SAMPLING)
                step = ask.trace.step(self.name, "thought", said.text, parent=step, used=used)
                asked = work.send(said.text)
        except StopIteration as done:
            told: Answered = done.value
            return told


def _detail(told: Answered) -> dict[str, Any]:
    return {
        "found": told.found,
        "citations": [asdict(each) for each in told.citations],
        "invented": list(told.invented[:_MOST_NAMED]),
    }
