"""Self-consistency: several chains of thought vote. Ends as soon as the vote is decided.

Source: Wang et al., Self-Consistency Improves Chain of Thought Reasoning in Language Models, 2022.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

from pydantic import Field

from zoran_ray.reasoning.answers import Form, vote
from zoran_ray.reasoning.completion import Message
from zoran_ray.reasoning.judging import Jury
from zoran_ray.reasoning.strategy import Answer, Ask
from zoran_ray.reasoning.thinking import Sample, Thinking
from zoran_ray.reasoning.together import Together, unanswered, why
from zoran_ray.reasoning.verifier import Verifier


class SelfConsistency(Thinking):
    """The answer that most of several chains of thought come to."""

    name: ClassVar[str] = "self-consistency"

    temperature: float = Field(default=0.7, ge=0, le=2, allow_inf_nan=False)
    """0 gives the same answer each time, so that nothing is won."""
    samples: int = Field(default=8, ge=1, le=64)
    """How many chains of thought vote."""
    at_once: int = Field(default=64, ge=1, le=64)
    """How many run at the same time. With fewer, a vote that is decided early costs less."""
    compare: Form = "auto"
    """`number`: by the last number; `text`: by the words; `auto`: as a number where it is nothing else."""

    async def answer(
        self, messages: Sequence[Message], ask: Ask, verifier: Verifier | None = None
    ) -> Answer:
        """As `Strategy`. `Answer.detail` has the votes."""
        votes: Counter[str] = Counter()
        heard: list[Sample] = []
        work = [partial(self.think, messages, ask, self.name, index=i) for i in range(self.samples)]
        async with Together(work, self.at_once) as running:
            async for sample, *_ in running:
                heard.append(sample)
                if sample.whole and (key := vote(sample.answer, self.compare)) is not None:
                    votes[key] += 1
                if running.left and decided(votes, running.left):
                    break
            early = running.left > 0
        if not heard:
            return unanswered(running.trouble)
        chosen = self._spoken_for(heard, votes)
        verdict = await Jury(verifier, ask, self.name).judge(chosen.answer, chosen.step)
        ended = "majority" if early else why(running.trouble) if running.trouble else "done"
        detail = {"votes": dict(votes), "samples": len(heard)}
        return Answer(chosen.answer, ended, None if verdict is None else verdict.ok, detail)

    def _spoken_for(self, heard: Sequence[Sample], votes: Mapping[str, int]) -> Sample:
        """The first sample that says what won; the first of all where nobody said anything whole."""
        first = sorted(heard, key=lambda sample: sample.step)
        leader = winner(votes)
        voting = (s for s in first if s.whole and vote(s.answer, self.compare) == leader)
        return next(voting, first[0]) if leader is not None else first[0]


def winner(votes: Mapping[str, int]) -> str | None:
    """Who has most votes. Of equals the smallest as text, so that the order of arrival is all the same."""
    return min(votes, key=lambda key: (-votes[key], key), default=None)


def decided(votes: Mapping[str, int], left: int) -> bool:
    """Whether nobody else can win or draw level with so many votes to come."""
    counts = sorted(votes.values(), reverse=True)[:2]
    return bool(counts) and counts[0] > (counts[1] if len(counts) > 1 else 0) + left
