"""A model that answers from a trace: what was thought once can be gone through again, at no cost."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zoran_ray.errors import InvalidRequest, RecordNotFound
from zoran_ray.reasoning.budget import BudgetSpent
from zoran_ray.reasoning.completion import Completion, Completions, Message, Sampling, Used
from zoran_ray.reasoning.trace import Call

PATIENCE_S = 5.0
"""How long a call waits that the trace does not have, in seconds: it may be one that was cancelled then."""
_ROUNDS = 64


class Replay:
    """Gives the recorded answers in the recorded order.

    A call is recognised by its messages and its sampling. Each answer is held back until all that ended
    before it were given, so that a strategy sees them come as they came. A call that the trace does not
    have waits to be cancelled, as it was then.

    Args:
        calls: As they ended.
        most: The most that a call may use; to end where a budget ended, it must be that of the recording.
        patience_s: Longest wait of a call that the trace does not have.
        spent: What a budget had no more of then, if one ended it: so ends a call that the trace does not
            have, once all others are over.
    """

    def __init__(
        self,
        calls: Sequence[Call],
        most: Callable[[Sequence[Message], Sampling], Used] | None = None,
        patience_s: float = PATIENCE_S,
        spent: str | None = None,
    ) -> None:
        self._calls = list(calls)
        self._most = most
        self._patience_s = patience_s
        self._spent = spent
        self._taken = [False] * len(self._calls)
        self._over = [False] * len(self._calls)
        self._moved = asyncio.Event()

    async def __call__(
        self, messages: Sequence[Message], sampling: Sampling, *, deadline: float
    ) -> Completions:
        """Answers as then.

        Raises:
            RecordNotFound: The trace has no such call.
            BudgetSpent: It has none, and a budget was spent then.
        """
        place = self._place(messages, sampling)
        try:
            async with asyncio.timeout(min(self._patience_s, deadline - time.monotonic())):
                await self._wait_for(place)
        except TimeoutError:
            raise self._absent() from None
        if place == len(self._calls):
            raise self._absent()
        return self._calls[place].answer

    def most(self, messages: Sequence[Message], sampling: Sampling) -> Used:
        """One call, unless somebody said more."""
        return self._most(messages, sampling) if self._most else Used(calls=1)

    @property
    def left(self) -> int:
        """Recorded calls that nobody made yet."""
        return self._taken.count(False)

    def _absent(self) -> BudgetSpent | RecordNotFound:
        if self._spent is not None:
            return BudgetSpent(self._spent)
        return RecordNotFound(
            "The trace has no such call: replay it with the strategy and the question it was made with."
        )

    def _place(self, messages: Sequence[Message], sampling: Sampling) -> int:
        """Which call it is; beyond the end for one that is not there."""
        wanted = [dict(message) for message in messages]
        for place, call in enumerate(self._calls):
            same = call.sampling == sampling and [dict(message) for message in call.messages] == wanted
            if same and not self._taken[place]:
                self._taken[place] = True
                return place
        return len(self._calls)

    def _waits(self, place: int) -> bool:
        """Whether calls before it go on; one that is not in the trace waits for all, or to be cancelled."""
        return (place == len(self._calls) and self._spent is None) or not all(self._over[:place])

    async def _wait_for(self, place: int) -> None:
        try:
            while self._waits(place):
                await self._moved.wait()
            # Then, time passed between one answer and the next: who waits for the former goes on first.
            for _ in range(_ROUNDS):
                await asyncio.sleep(0)
        finally:
            if place < len(self._calls):
                self._over[place] = True
                self._moved.set()
                self._moved = asyncio.Event()


def calls_of(trace: Mapping[str, Any]) -> list[Call]:
    """The calls of `Trace.as_json`, also after it went through JSON.

    Raises:
        InvalidRequest: It is no trace.
    """
    try:
        return [_call(call) for call in trace["calls"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidRequest("This is no trace: its calls cannot be read.", param="trace") from None


def _call(call: Mapping[str, Any]) -> Call:
    sampling = call["sampling"]
    answer = call["answer"]
    return Call(
        tuple(call["messages"]),
        Sampling(**{**sampling, **{name: tuple(sampling.get(name, ())) for name in ("stop", "tools")}}),
        Completions(tuple(Completion(**choice) for choice in answer["choices"]), Used(**answer["used"])),
    )
