"""A role as the gateway asks it: a strategy whose thinking happens in another process.

The role's process says what it wants; the model is asked and tools are used here, by the request's own
account, with its limits, prices, privacy and journal. Once the request is over, nothing more is asked.
Knows no Ray.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from zoran_ray.agents.messages import Find, Heard, Job, Reply, Use, Want
from zoran_ray.errors import DeadlineExceeded, Unavailable, ZoranError
from zoran_ray.reasoning.acting import Tools
from zoran_ray.reasoning.budget import BudgetSpent
from zoran_ray.reasoning.completion import Message
from zoran_ray.reasoning.searching import Found
from zoran_ray.reasoning.strategy import Answer, Ask
from zoran_ray.reasoning.verifier import Verdict, Verifier
from zoran_ray.tools.tool import Observation
from zoran_ray.tools.toolbox import Offer
from zoran_ray.wire.media import inspect_media

log = logging.getLogger("zoran.gateway")


class Link(Protocol):
    """How roles are reached; `actors.agent_client.RayAgents` is one."""

    async def begin(self, role: str, job: Job) -> str:
        """Sends a job. Returns: Who has it. Raises: ZoranError."""
        ...

    async def hear(self, host: str, job_id: str) -> Heard:
        """What happened since the last time. Raises: ZoranError."""
        ...

    async def reply(self, host: str, job_id: str, reply: Reply) -> None:
        """What came out of a want. Raises: ZoranError."""
        ...

    def stop(self, host: str, job_id: str) -> None:
        """Ends a job; waits for nobody and raises nothing."""
        ...


class HostedRole:
    """See `reasoning.Strategy`.

    Args:
        role: Its name.
        parameters: What the caller says to it.
        link: Reaches its process.
    """

    def __init__(self, role: str, parameters: Mapping[str, Any], link: Link) -> None:
        self.name = role
        self._parameters = parameters
        self._link = link

    async def answer(
        self, messages: Sequence[Message], ask: Ask, verifier: Verifier | None = None
    ) -> Answer:
        """As `Strategy`.

        Raises:
            AgentGivenUp, Overloaded, Unavailable: The role cannot be asked now; nothing was spent.
        """
        job = self._job(messages, ask, judged=verifier is not None)
        host = ""
        try:
            async with asyncio.timeout(max(0.0, job.left_s)):
                host = await self._link.begin(self.name, job)
            answer = await _Talk(self._link, host, job.id, ask, verifier).to_the_end()
        except TimeoutError:
            raise DeadlineExceeded(f"The agent '{self.name}' had no time left to begin.") from None
        finally:
            if host:
                self._link.stop(host, job.id)
        return replace(answer, detail={"agent": self.name, **answer.detail})

    def _job(self, messages: Sequence[Message], ask: Ask, *, judged: bool) -> Job:
        now, ends = ask.clock(), ask.purse.ends
        budget_s = None if ends == float("inf") else max(0.0, ends - now)
        number = f"job-{secrets.token_hex(16)}"
        left_s = max(0.0, ask.deadline - now)
        return Job(
            number,
            tuple(messages),
            left_s,
            budget_s,
            dict(self._parameters),
            judged,
            searches=ask.search is not None,
            calls_tools=ask.calls_tools,
        )


class _Talk:
    """One job, as long as it lasts."""

    def __init__(self, link: Link, host: str, job_id: str, ask: Ask, verifier: Verifier | None) -> None:
        self._link = link
        self._host = host
        self._job = job_id
        self._ask = ask
        self._verifier = verifier
        self._tools: Tools | None = None
        self._calls: dict[int, asyncio.Task[None]] = {}

    async def to_the_end(self) -> Answer:
        try:
            while not (heard := await self._link.hear(self._host, self._job)).over:
                self._take(heard)
            self._take(heard)
        finally:
            for call in self._calls.values():
                call.cancel()
            await asyncio.gather(*self._calls.values(), return_exceptions=True)
        if heard.error is not None:
            raise heard.error
        assert heard.answer is not None
        return heard.answer

    def _take(self, heard: Heard) -> None:
        for step in heard.steps:
            # Its number is the same here: nobody else thinks in this request.
            self._ask.trace.step(
                step.strategy, step.kind, step.text, parent=step.parent, used=step.used, **step.detail
            )
        for number in heard.dropped:
            if (call := self._calls.pop(number, None)) is not None:
                call.cancel()
        for want in () if heard.over else heard.wants:
            call = asyncio.create_task(self._served(want))
            self._calls[want.number] = call
            call.add_done_callback(lambda _, number=want.number: self._calls.pop(number, None))  # type: ignore[misc]

    async def _served(self, want: Want) -> None:
        reply = await self._made(want)
        with contextlib.suppress(ZoranError):  # a host that is gone is noticed where it is heard
            await self._link.reply(self._host, self._job, reply)

    async def _made(self, want: Want) -> Reply:
        try:
            if want.judge is not None:
                return Reply(want.number, verdict=await self._judged(want.judge))
            if want.opens:
                return Reply(want.number, offers=_offers(await self._opened()))
            if want.use is not None:
                return Reply(want.number, seen=await self._used(want.use))
            if want.find is not None:
                return Reply(want.number, found=await self._found(want.find))
            # Whatever a role brings in: an engine is never told to fetch anything.
            inspect_media(list(want.messages), "messages")
            return Reply(want.number, await self._ask(want.messages, want.sampling))
        except BudgetSpent as error:
            return Reply(want.number, spent=error.reason)
        except ZoranError as error:
            return Reply(want.number, error=error)
        except Exception as bug:
            # Its text may hold a prompt.
            log.error("unexpected %s for an agent", type(bug).__name__)
            return Reply(want.number, error=Unavailable("The call failed; the server's log says more."))

    async def _judged(self, answer: str) -> Verdict:
        if self._verifier is None:
            raise Unavailable("There is no verifier for this request.")
        return await self._verifier(answer)

    async def _opened(self) -> Tools:
        if self._tools is None:
            self._tools = await self._ask.tools()
        return self._tools

    async def _used(self, use: Use) -> Observation:
        tools = await self._opened()
        seen = await tools.call(use.name, use.arguments, deadline=self._ends(use.left_s))
        return Observation(seen.text, seen.ok, seen.truncated)

    async def _found(self, find: Find) -> tuple[Found, ...]:
        if self._ask.search is None:
            raise Unavailable("There is nothing to search for this request.")
        ends = self._ends(find.left_s)
        try:
            async with asyncio.timeout(ends - time.monotonic()):
                return tuple(await self._ask.search(find.query, limit=find.limit, deadline=ends))
        except TimeoutError:
            raise DeadlineExceeded("The search took too long.") from None

    def _ends(self, left_s: float) -> float:
        """When a thing must be over that has so long: never after the request, whatever the role says."""
        return min(self._ask.deadline, self._ask.purse.ends, time.monotonic() + left_s)


def _offers(tools: Tools) -> tuple[Offer, ...]:
    """Fit to be pickled."""
    return tuple(Offer(each.name, each.description, dict(each.parameters)) for each in tools.offers)
