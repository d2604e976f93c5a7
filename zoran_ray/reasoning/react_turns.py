"""ReAct with turns that are text: any model can write them."""

from collections.abc import Sequence
from dataclasses import replace

from zoran_ray.reasoning.completion import Hear, Message, Sampling
from zoran_ray.reasoning.prompting import user, with_request
from zoran_ray.reasoning.react_aloud import thought_of_turn
from zoran_ray.reasoning.react_run import MOST_SAID, Run
from zoran_ray.reasoning.react_text import (
    LAST_WORD,
    MALFORMED,
    STOP,
    Final,
    Malformed,
    arguments_of,
    introduction,
    read_turn,
    written,
)


class TalkingRun(Run):
    """The turns of one question, as text."""

    def _told(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        return with_request(messages, introduction(self._offers))

    def _sampling(self) -> Sampling:
        return replace(self._how.sampling(index=self.count), stop=STOP)

    def _aloud(self, hear: Hear) -> Hear:
        return thought_of_turn(hear)

    async def _turn(self) -> str | None:
        said = await self._text(self._talk)
        try:
            turn = read_turn(said)
            if isinstance(turn, Final):
                self._finish(turn.thought, turn.answer)
                return "done"
            arguments = arguments_of(turn, self._offers)
        except Malformed as error:
            return self._repair(said, str(error))
        self._malformed = 0
        self._think(turn.thought)
        self._note("action", turn.given, tool=turn.tool, arguments=arguments)
        (seen,), ended = await self._acted([(turn.tool, arguments)])
        self._note_seen(turn.tool, seen)
        self._go_on(written(turn), f"Observation:\n{self._shown(seen)}")
        return ended

    def _repair(self, said: str, fault: str) -> str | None:
        """Asks once for a turn that can be read. Returns: Why it is not asked any more."""
        self.best = said.strip() or self.best
        self._note("thought", said, malformed=fault)
        self._malformed += 1
        self._go_on(said, MALFORMED.replace("{why}", fault))
        return "malformed" if self._malformed > 1 else None

    async def _last_word(self) -> None:
        said = await self._text(with_request(self._talk, LAST_WORD))
        try:
            turn = read_turn(said)
        except Malformed:
            turn = Final("", said.strip())
        # A model that still wants to act has at least thought.
        last = turn if isinstance(turn, Final) else Final("", turn.thought or self.best)
        self._finish(last.thought, last.answer)

    async def _text(self, talk: Sequence[Message]) -> str:
        return (await self._said(talk, self._sampling())).text[:MOST_SAID]

    def _go_on(self, said: str, request: str) -> None:
        self._talk = (*self._talk, {"role": "assistant", "content": said}, user(request))
