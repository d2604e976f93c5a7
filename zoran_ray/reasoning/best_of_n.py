"""Best of n: several chains of thought, a verifier chooses. Ends at the first that is right.

Source: Cobbe et al., Training Verifiers to Solve Math Word Problems, 2021.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from zoran_ray.reasoning.completion import Message
from zoran_ray.reasoning.judging import Jury
from zoran_ray.reasoning.parameters import Judge
from zoran_ray.reasoning.self_judging import LABEL, require_judge, self_judged
from zoran_ray.reasoning.strategy import Answer, Ask
from zoran_ray.reasoning.thinking import Sample, Thinking
from zoran_ray.reasoning.together import Together, Trouble, unanswered, why
from zoran_ray.reasoning.verifier import Verdict, Verifier

Judged = tuple[Sample, Verdict | None]


class BestOfN(Thinking):
    """The best of several chains of thought."""

    name: ClassVar[str] = "best-of-n"

    temperature: float = Field(default=0.7, ge=0, le=2, allow_inf_nan=False)
    """0 gives the same answer each time, so that nothing is won."""
    samples: int = Field(default=8, ge=1, le=64)
    """How many chains of thought."""
    at_once: int = Field(default=64, ge=1, le=64)
    """How many run at the same time. With fewer, finding one that is right costs less."""
    judge: Judge | None = None
    """`model`: without a verifier the model scores its own answers, and the answer says so."""

    async def answer(
        self, messages: Sequence[Message], ask: Ask, verifier: Verifier | None = None
    ) -> Answer:
        """As `Strategy`.

        Raises:
            InvalidRequest: There is neither a verifier nor `judge`.
        """
        require_judge(verifier, self.judge, self.name)
        jury = Jury(verifier, ask, self.name)
        heard: list[Judged] = []
        work = [partial(self._try, messages, ask, jury, i, heard) for i in range(self.samples)]
        async with Together(work, self.at_once) as running:
            async for _, verdict in running:
                # One's own applause ends nothing: what is judged by the model is compared with the others.
                if verifier is not None and verdict is not None and verdict.ok:
                    break
        if not heard:
            return unanswered(running.trouble)
        return self._best(heard, verifier, running.trouble)

    async def _try(
        self, messages: Sequence[Message], ask: Ask, jury: Jury, index: int, heard: list[Judged]
    ) -> Judged:
        sample = (await self.think(messages, ask, self.name, index=index))[0]
        place = len(heard)
        heard.append((sample, None))  # an answer that nobody came to judge is better than none
        if jury.verifier is None:
            verdict = await self_judged(messages, sample.answer, ask, self.name, sample.step)
        else:
            verdict = await jury.judge(sample.answer, sample.step)
        heard[place] = (sample, verdict)
        return heard[place]

    def _best(self, heard: Sequence[Judged], verifier: Verifier | None, trouble: Trouble | None) -> Answer:
        sample, verdict = max(heard, key=_rank)
        detail: dict[str, Any] = {"samples": len(heard), "judged": sum(v is not None for _, v in heard)}
        if verifier is None:
            ended = why(trouble) if trouble else "done"
            return Answer(sample.answer, ended, None, {**detail, **LABEL})
        right = None if verdict is None else verdict.ok
        ended = "verified" if right else why(trouble) if trouble else "done"
        return Answer(sample.answer, ended, right, detail)


def _rank(judged: Judged) -> tuple[int, float, bool, int]:
    """Right before unknown before wrong, then by score; of equals the first."""
    sample, verdict = judged
    known = 1 if verdict is None else 2 if verdict.ok else 0
    return known, 0.0 if verdict is None else verdict.score, sample.whole, -sample.step
