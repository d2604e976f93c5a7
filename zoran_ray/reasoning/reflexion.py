"""Reflexion: an attempt, a verdict from outside, a reflection where it failed, another attempt.

Source: Shinn et al., Reflexion: Language Agents with Verbal Reinforcement Learning, 2023, algorithm 1. What
the verifier knows is never in a prompt: only its verdict is, in words that do not give the answer away.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from zoran_ray.errors import ZoranError
from zoran_ray.reasoning.budget import BudgetSpent
from zoran_ray.reasoning.completion import Message, Sampling
from zoran_ray.reasoning.judging import Jury
from zoran_ray.reasoning.parameters import Judge
from zoran_ray.reasoning.prompting import with_request
from zoran_ray.reasoning.self_judging import LABEL, MOST_SHOWN, require_judge, self_judged
from zoran_ray.reasoning.strategy import Answer, Ask
from zoran_ray.reasoning.thinking import Sample, Thinking
from zoran_ray.reasoning.together import unanswered, why
from zoran_ray.reasoning.verifier import Verdict, Verifier

_REFLECT = (
    "A former attempt to answer stands between the lines. It was judged to be wrong.{why}\n"
    "---\n{attempt}\n---\n"
    "In a few sentences: what went wrong, and what should be done differently? Do not answer yet."
)
_REMEMBER = (
    "Former attempts were wrong. What was learned from them:\n{lessons}\nDo not make these mistakes again."
)


class Reflexion(Thinking):
    """Attempts that learn from the verdict on the ones before."""

    name: ClassVar[str] = "reflexion"

    temperature: float = Field(default=0.7, ge=0, le=2, allow_inf_nan=False)
    """0 gives the same answer each time unless a reflection changes it."""
    attempts: int = Field(default=3, ge=1, le=16)
    """Most attempts."""
    remembered: int = Field(default=3, ge=1, le=8)
    """How many of the latest reflections the next attempt is shown."""
    reflection_tokens: int = Field(default=256, ge=1, le=8_192)
    """Longest reflection."""
    judge: Judge | None = None
    """`model`: without a verifier the model judges its own attempts, and the answer says so."""

    async def answer(
        self, messages: Sequence[Message], ask: Ask, verifier: Verifier | None = None
    ) -> Answer:
        """As `Strategy`. It ends where nobody could judge an attempt: then there is nothing to learn from.

        Raises:
            InvalidRequest: There is neither a verifier nor `judge`.
        """
        require_judge(verifier, self.judge, self.name)
        run = _Run(self, messages, ask, verifier)
        try:
            ended = await run.until_right()
        except (BudgetSpent, ZoranError) as trouble:
            if not run.tried:
                return unanswered(trouble)
            ended = why(trouble)
        sample, verdict = max(run.tried, key=_rank)
        detail: dict[str, Any] = {"attempts": len(run.tried), **({} if verifier else LABEL)}
        verified = verdict.ok if verifier and verdict else None
        return Answer(sample.answer, ended, verified, detail)


class _Run:
    """The attempts at one question."""

    def __init__(
        self, how: Reflexion, messages: Sequence[Message], ask: Ask, verifier: Verifier | None
    ) -> None:
        self._how = how
        self._messages = messages
        self._ask = ask
        self._jury = Jury(verifier, ask, how.name)
        self._lessons: list[str] = []
        self.tried: list[tuple[Sample, Verdict | None]] = []

    async def until_right(self) -> str:
        """Returns: Why it ended."""
        parent = 0
        for index in range(self._how.attempts):
            verdict = await self._attempt(index, parent)
            sample = self.tried[-1][0]
            if verdict is None:
                return "unjudged"
            if verdict.ok:
                return "verified" if self._jury.verifier else "done"
            if index + 1 < self._how.attempts:
                parent = await self._reflect(sample, verdict)
        return "attempts"

    async def _attempt(self, index: int, parent: int) -> Verdict | None:
        how = self._how
        asked = self._messages
        if self._lessons:
            lessons = "\n".join(f"- {lesson}" for lesson in self._lessons[-how.remembered :])
            asked = with_request(asked, _REMEMBER.replace("{lessons}", lessons))
        thought = how.think(asked, self._ask, how.name, index=index, parent=parent, aloud=True)
        sample = (await thought)[0]
        self.tried.append((sample, None))
        if self._jury.verifier is None:
            verdict = await self_judged(self._messages, sample.answer, self._ask, how.name, sample.step)
        else:
            verdict = await self._jury.judge(sample.answer, sample.step)
        self.tried[-1] = (sample, verdict)
        return verdict

    async def _reflect(self, sample: Sample, verdict: Verdict) -> int:
        how = self._how
        attempt = f"{sample.thought}\n{how.marker} {sample.answer}".strip()[-MOST_SHOWN:]
        reason = f" The judge says: {verdict.why[:MOST_SHOWN]}" if verdict.why else ""
        request = _REFLECT.replace("{why}", reason).replace("{attempt}", attempt)
        sampling = Sampling(
            temperature=how.temperature, max_tokens=how.reflection_tokens, seed=how.sampling().seed
        )
        said, used = await self._ask.one(with_request(self._messages, request), sampling)
        self._lessons.append(said.text.strip())
        return self._ask.trace.step(how.name, "reflection", said.text, parent=sample.step, used=used)


def _rank(tried: tuple[Sample, Verdict | None]) -> tuple[int, float, int]:
    """Right before unknown before wrong, then by score; of equals the latest."""
    sample, verdict = tried
    known = 1 if verdict is None else 2 if verdict.ok else 0
    return known, 0.0 if verdict is None else verdict.score, sample.step
