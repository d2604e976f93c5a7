"""The mailbox of a role: so many jobs run, so many wait, one more is refused. Knows no Ray and no model."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from zoran_ray.agents.messages import Heard, Job, Reply
from zoran_ray.agents.run import Run
from zoran_ray.errors import InvalidRequest, Overloaded, Unavailable
from zoran_ray.reasoning.strategy import Strategy

UNHEARD_S = 20.0
"""A job that nobody asks about for so long is stopped: whoever wanted it is gone."""
HEAR_S = 5.0
"""Longest that `hear` waits for news."""
_RETRY_S = 1.0

Make = Callable[[Job], Awaitable[Strategy]]
"""The role for one job. Raises: ZoranError: Its parameters are wrong, or it cannot be had."""


class Desk:
    """Runs the jobs of one role.

    Args:
        make: Makes the role.
        running: Most jobs at a time.
        waiting: Most that wait beside those.
    """

    def __init__(self, make: Make, running: int = 16, waiting: int = 64) -> None:
        self._make = make
        self._most = running + waiting
        self._room = asyncio.Semaphore(running)
        self._runs: dict[str, Run] = {}
        self._beginning: set[str] = set()

    def __len__(self) -> int:
        return len(self._runs) + len(self._beginning)

    async def begin(self, job: Job) -> None:
        """Takes a job in.

        Raises:
            Overloaded: The mailbox is full; says when to come again.
            ZoranError: As `Make`.
        """
        if job.id in self._runs or job.id in self._beginning:
            raise InvalidRequest("There is such a job already.")
        if len(self) >= self._most:
            raise Overloaded("This agent has as much to do as it takes.", retry_after_s=_RETRY_S)
        self._beginning.add(job.id)
        try:
            role = await self._make(job)
            if job.id in self._beginning:  # it was not stopped meanwhile
                self._runs[job.id] = Run(job, role, self._room)
        finally:
            self._beginning.discard(job.id)

    async def hear(self, job_id: str, timeout_s: float = HEAR_S) -> Heard:
        """What happened in a job; after its end it is forgotten. Raises: Unavailable: There is none."""
        run = self._runs.get(job_id)
        if run is None:
            raise Unavailable("The agent does not know this request any more; ask anew.")
        heard = await run.hear(min(timeout_s, HEAR_S))
        if heard.over:
            self._runs.pop(job_id, None)
        return heard

    def reply(self, job_id: str, reply: Reply) -> None:
        """What came out of a call."""
        if (run := self._runs.get(job_id)) is not None:
            run.reply(reply)

    def stop(self, job_id: str) -> None:
        """Ends a job, whoever hears of it."""
        self._beginning.discard(job_id)
        if (run := self._runs.pop(job_id, None)) is not None:
            run.stop()

    def sweep(self) -> None:
        """Stops what nobody asks about any more."""
        horizon = time.monotonic() - UNHEARD_S
        for job_id in [name for name, run in self._runs.items() if run.heard_at < horizon]:
            self.stop(job_id)
