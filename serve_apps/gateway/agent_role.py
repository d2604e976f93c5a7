"""A role as the gateway asks it: a strategy whose thinking happens in another process.

The role's process says what it wants to be asked; the model is asked here, by the request's own account,
with its limits, prices and privacy. Once the request is over, nothing more is asked. Knows no Ray.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from zoran_ray.agents.messages import Heard, Job, Reply, Want
from zoran_ray.errors import DeadlineExceeded, Unavailable, ZoranError
from zoran_ray.reasoning.budget import BudgetSpent
from zoran_ray.reasoning.completion import Message
from zoran_ray.reasoning.strategy import Answer, Ask
from zoran_ray.reasoning.verifier import Verifier
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
        return Job(number, tuple(messages), left_s, budget_s, dict(self._parameters), judged)


class _Talk:
    """One job, as long as it lasts."""

    def __init__(self, link: Link, host: str, job_id: str, ask: Ask, verifier: Verifier | None) -> None:
        self._link = link
        self._host = host
        self._job = job_id
        self._ask = ask
        self._verifier = verifier
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

    async def _judged(self, answer: str) -> Any:
        if self._verifier is None:
            raise Unavailable("There is no verifier for this request.")
        return await self._verifier(answer)
