"""Asks a verifier about answers of one request, in bounded time, and notes what it said."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from zoran_ray.reasoning.strategy import Ask
from zoran_ray.reasoning.verifier import Verdict, Verifier

VERDICT_S = 30.0
"""Longest that a verifier may take for one answer, in seconds."""
MOST_WHY = 2_000
"""Longest reason of a verdict that is kept, in characters."""

Bounded = Callable[[str], Awaitable[Verdict | None]]


def bounded(verifier: Verifier, seconds: float = VERDICT_S) -> Bounded:
    """The verifier with its time bounded: None where it raised, took too long or gave no verdict.

    A verifier that does not heed its cancellation is left behind: nobody waits for it.
    """

    async def judge(answer: str) -> Verdict | None:
        task = asyncio.ensure_future(verifier(answer))
        task.add_done_callback(_heard)
        try:
            await asyncio.wait({task}, timeout=max(seconds, 0.0))
        finally:
            done = task.done()
            task.cancel()
        if not done or task.cancelled() or task.exception() is not None:
            return None
        verdict = task.result()
        return verdict if isinstance(verdict, Verdict) else None

    async def guarded(answer: str) -> Verdict | None:
        try:
            return await judge(answer)
        except (
            Exception
        ):  # what is no coroutine function raises, or gives nothing to await, before there is a task
            return None

    return guarded


def _heard(task: "asyncio.Future[Verdict]") -> None:
    if not task.cancelled():
        task.exception()


class Jury:
    """The verifier of one request.

    Args:
        verifier: Judges; None where the caller brought none.
        ask: The request.
        strategy: Whose steps they are.
        seconds: Longest for one answer; the end of the request or of its budget may come sooner.
    """

    def __init__(
        self, verifier: Verifier | None, ask: Ask, strategy: str, seconds: float = VERDICT_S
    ) -> None:
        self.verifier = verifier
        self._ask = ask
        self._strategy = strategy
        self._seconds = seconds

    async def judge(self, answer: str, parent: int) -> Verdict | None:
        """What the verifier says of an answer; None where it has not judged, or there is none."""
        if self.verifier is None:
            return None
        left = min(self._ask.deadline, self._ask.purse.ends) - self._ask.clock()
        verdict = await bounded(self.verifier, min(self._seconds, left))(answer)
        detail: dict[str, Any] = {
            "verifier": self.verifier.name,
            "ok": None if verdict is None else verdict.ok,
        }
        if verdict is not None and verdict.score != float(verdict.ok):
            detail["score"] = verdict.score
        why = "" if verdict is None else verdict.why[:MOST_WHY]
        self._ask.trace.step(self._strategy, "verdict", why, parent=parent, **detail)
        return verdict
