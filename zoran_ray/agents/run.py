"""One job of a role while it runs: what it wants goes out and comes back as replies. No Ray."""

import asyncio
import logging
import time
import traceback
from dataclasses import replace

from zoran_ray.agents.at_hand import Asked, Judge, SearchAtHand, ToolsAtHand
from zoran_ray.agents.messages import Heard, Job, Reply, Want
from zoran_ray.errors import DeadlineExceeded, ZoranError, plain
from zoran_ray.reasoning.budget import Budget, BudgetSpent, Purse
from zoran_ray.reasoning.strategy import Answer, Ask, Strategy
from zoran_ray.reasoning.trace import Step, Trace

log = logging.getLogger("zoran.agents")


class Run:
    """A job that runs from now on, in a task of the current loop.

    Args:
        room: Held while it runs; others wait for it.

    Attributes:
        heard_at: When somebody last asked what happened, in seconds of `time.monotonic`.
    """

    def __init__(self, job: Job, role: Strategy, room: asyncio.Semaphore) -> None:
        self._job = job
        self._role = role
        self._room = room
        self._ends = time.monotonic() + job.left_s
        self._wants: list[Want] = []
        self._dropped: list[int] = []
        self._steps: list[Step] = []
        self._news = asyncio.Event()
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._calls = 0
        self._answer: Answer | None = None
        self._error: ZoranError | None = None
        self.heard_at = time.monotonic()
        self._work = asyncio.create_task(self._worked())

    async def hear(self, timeout_s: float) -> Heard:
        """What happened since the last time; empty where nothing did for so long."""
        self.heard_at = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            pass
        finally:
            self.heard_at = time.monotonic()
        self._news.clear()
        heard = Heard(
            tuple(self._wants), tuple(self._dropped), tuple(self._steps), self._answer, self._error
        )
        self._wants, self._dropped, self._steps = [], [], []
        return heard

    def reply(self, reply: Reply) -> None:
        """What came out of a call; nobody may wait for it any more."""
        waiting = self._waiting.get(reply.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    def stop(self) -> None:
        """Nothing more is thought, and nothing more wanted."""
        self._work.cancel()

    async def asked(self, want: Want) -> Reply:
        """A reply to a want, whose number is given here. Raises: BudgetSpent, ZoranError."""
        self._calls += 1
        number = self._calls
        self._wants.append(replace(want, number=number))
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        self._news.set()
        try:
            came = await reply
        except asyncio.CancelledError:
            self._dropped.append(number)
            self._news.set()
            raise
        finally:
            del self._waiting[number]
        if came.spent:
            raise BudgetSpent(came.spent)
        if came.error is not None:
            raise came.error
        return came

    async def _worked(self) -> None:
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + self._job.left_s):
                async with self._room:
                    self._answer = await self._answered()
        except TimeoutError:
            self._error = DeadlineExceeded("The request's time is over. Allow more time, or ask for less.")
        except ZoranError as error:
            self._error = plain(error)
        except Exception as bug:
            # Its text may hold a prompt: only the kind and the place are logged.
            where = "".join(traceback.format_tb(bug.__traceback__))
            log.error("unexpected %s", type(bug).__name__, extra={"traceback": where})
            self._error = ZoranError("The agent failed. The request id finds it in the log.")
        finally:
            self._news.set()

    async def _answered(self) -> Answer:
        job = self._job
        trace = Trace(self._thought)
        # Of the budget only time is kept here: whoever makes the calls keeps tokens and money.
        purse = Purse(Budget(wall_s=job.budget_s), time.monotonic)
        ask = Ask(
            Asked(self.asked),
            purse,
            trace,
            self._ends,
            search=SearchAtHand(self.asked) if job.searches else None,
            tools=ToolsAtHand(self.asked).opened,
            calls_tools=job.calls_tools,
        )
        return await self._role.answer(job.messages, ask, Judge(self.asked) if job.judged else None)

    def _thought(self, step: Step) -> None:
        self._steps.append(step)
        self._news.set()
