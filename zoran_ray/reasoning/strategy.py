"""What a strategy is given and what it gives: a model within a budget, an answer and why it ended."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from zoran_ray.errors import DeadlineExceeded, UpstreamError
from zoran_ray.reasoning.acting import OpenTools, no_tools
from zoran_ray.reasoning.budget import BudgetSpent, Purse
from zoran_ray.reasoning.completion import (
    Complete,
    Completion,
    Completions,
    Hear,
    Message,
    Sampling,
    Speaks,
    Used,
)
from zoran_ray.reasoning.searching import Search
from zoran_ray.reasoning.trace import Call, Trace
from zoran_ray.reasoning.verifier import Verifier

MOST_AT_ONCE = 64
"""Calls of one request that run at the same time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came out.

    Attributes:
        text: The answer.
        ended: Why the strategy ended: `done`, `verified`, `budget:tokens`, `depth`, …
        verified: What an external verifier said of it; None where nobody judged.
        detail: Plain values for the caller: votes, attempts, …
    """

    text: str = field(repr=False)
    ended: str = "done"
    verified: bool | None = None
    detail: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class Ask:
    """The model of one request, within its budget, with every call in the trace.

    Attributes:
        complete: The model.
        purse: The budget.
        trace: What happens.
        deadline: When the request must be over, in seconds of the clock.
        clock: Monotonic seconds.
        search: What the request may search; None for nothing.
        tools: Opens the tools that the request may use.
        calls_tools: Whether the model is known to take tools as chat completions have them.
    """

    complete: Complete
    purse: Purse
    trace: Trace
    deadline: float
    clock: Callable[[], float] = time.monotonic
    search: Search | None = None
    tools: OpenTools = no_tools
    calls_tools: bool = False
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ONCE))
    _settled: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(
        self, messages: Sequence[Message], sampling: Sampling, hear: Hear | None = None
    ) -> Completions:
        """Asks once. Waits while calls that run hold what this one needs and may not use it.

        Args:
            messages: The conversation.
            sampling: How to ask.
            hear: Told the text of a single answer while it is made, where the model can be heard; see
                `Trace.aloud`. It changes nothing of the answer.

        Raises:
            BudgetSpent: The call does not fit any more.
            DeadlineExceeded: The request's time is over.
            UpstreamError: The model gave no answer at all.
            ZoranError: As `Complete`.
        """
        async with self._room:
            most = self.complete.most(messages, sampling)
            while self.purse.may_fit_later(most):
                await self._settled.wait()
            try:
                with self.purse.reserved(most) as settle:
                    answer = await self._in_time(messages, sampling, hear)
                    settle(answer.used)
            finally:
                self._settled.set()
                self._settled = asyncio.Event()
        self.trace.calls.append(Call(tuple(messages), sampling, answer))
        if not answer.choices:
            raise UpstreamError("The model gave no answer at all. Try again, or ask another model.")
        return answer

    async def _in_time(
        self, messages: Sequence[Message], sampling: Sampling, hear: Hear | None
    ) -> Completions:
        deadline, model = min(self.deadline, self.purse.ends), self.complete
        try:
            async with asyncio.timeout(None if deadline == math.inf else deadline - self.clock()):
                if hear is not None and sampling.n == 1 and isinstance(model, Speaks):
                    return await model.spoken(messages, sampling, hear, deadline=deadline)
                return await model(messages, sampling, deadline=deadline)
        except (TimeoutError, DeadlineExceeded):
            if self.purse.ends < self.deadline:
                raise BudgetSpent("wall_s") from None
            raise DeadlineExceeded(
                "The request's time is over. Allow more time, or ask for less."
            ) from None

    async def one(
        self, messages: Sequence[Message], sampling: Sampling, hear: Hear | None = None
    ) -> tuple[Completion, Used]:
        """Asks for one answer. Args and errors are those of asking."""
        answer = await self(messages, replace(sampling, n=1), hear)
        return answer.choices[0], answer.used


class Strategy(Protocol):
    """A way to answer a conversation with more than one call."""

    @property
    def name(self) -> str:
        """As callers name it, such as `tot`."""
        ...

    async def answer(
        self, messages: Sequence[Message], ask: Ask, verifier: Verifier | None = None
    ) -> Answer:
        """Answers the last message of a conversation.

        It never raises `BudgetSpent`: the best answer so far is given, and `Answer.ended` says why.

        Args:
            messages: The conversation as the caller sent it.
            ask: The model.
            verifier: Judges answers, where the caller brought one. It never gives the right answer away.
        """
        ...


def spent(error: BudgetSpent) -> str:
    """`Answer.ended` of a budget that is used up."""
    return f"budget:{error.reason}"
