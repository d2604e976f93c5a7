"""Keeps one host alive: starts it when first wanted, watches it, starts it again. Knows no Ray."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from zoran_ray.agents.restarts import Restarts
from zoran_ray.errors import AgentGivenUp

log = logging.getLogger("zoran.agents")

WELL_EVERY_S = 5.0
WELL_WITHIN_S = 10.0
"""A host that does not answer for so long counts as dead, and is killed."""
START_S = 60.0


class Host(Protocol):
    """A process, as its supervisor sees it."""

    @property
    def name(self) -> str:
        """By which it is asked."""
        ...

    async def well(self) -> None:
        """Returns once it has answered; raises where it cannot."""
        ...

    async def ended(self) -> None:
        """Returns, or raises, when it is dead."""
        ...

    def kill(self) -> None:
        """Ends it at once."""
        ...


class Supervised:
    """One host.

    Args:
        role: Whose it is, for people.
        start: Starts one; called with how many there were before.
        restarts: How often.
        well_every_s: Time between two questions whether it is well, in seconds.
        well_within_s: Longest that it may take to say so.

    Attributes:
        deaths: How often one died.
    """

    def __init__(
        self,
        role: str,
        start: Callable[[int], Host],
        restarts: Restarts,
        *,
        well_every_s: float = WELL_EVERY_S,
        well_within_s: float = WELL_WITHIN_S,
    ) -> None:
        self._role = role
        self._start = start
        self._restarts = restarts
        self._well_every_s = well_every_s
        self._well_within_s = well_within_s
        self._host: Host | None = None
        self._watching: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self.started = 0
        self.deaths = 0

    async def host(self) -> str:
        """Name of the host, started if it was not.

        Raises:
            AgentGivenUp: It died too often; says when it may be tried again.
            TimeoutError: It does not start. What `start` raises is raised here.
        """
        if left_s := self._restarts.given_up_s:
            raise AgentGivenUp(
                f"The agent '{self._role}' died too often and is not started again for {left_s:.0f} s."
                " The server's log says why it died.",
                retry_after_s=left_s,
            )
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._kept_alive())
        watching, ready = self._watching, asyncio.create_task(self._ready.wait())
        try:
            async with asyncio.timeout(START_S):
                await asyncio.wait({watching, ready}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if self._host is not None and self._ready.is_set():
            return self._host.name
        if watching.done() and not watching.cancelled() and (failure := watching.exception()):
            raise failure
        return await self.host()  # it was given up, or restarted, meanwhile

    def restart(self) -> None:
        """As an operator asks: deaths are forgotten; what runs is ended, and started anew when wanted."""
        self._restarts.pardon()
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        self._end(self._host)

    @property
    def alive(self) -> bool:
        """Whether one runs and has answered."""
        return self._ready.is_set()

    @property
    def given_up_s(self) -> float:
        """As `Restarts.given_up_s`."""
        return self._restarts.given_up_s

    async def _kept_alive(self) -> None:
        """Returns when it is given up."""
        while True:
            host = self._host = self._start(self.started)
            self.started += 1
            try:
                why = await self._dead(host)
            finally:
                self._end(host)
            self.deaths += 1
            again = self._restarts.died()
            log.warning(
                "the agent '%s' died (%s) and is %s", self._role, why, "restarted" if again else "given up"
            )
            if not again:
                return

    async def _dead(self, host: Host) -> str:
        """Waits until it is dead, or not well. Returns: Why, in a word."""
        ended = asyncio.ensure_future(_quiet(host.ended()))
        try:
            within_s = START_S  # the first answer takes as long as a process does to start
            while True:
                well = asyncio.ensure_future(_quiet(host.well()))
                try:
                    await asyncio.wait({ended, well}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
                    if ended.done():
                        return ended.result() or "ended"
                    if not well.done() or well.result():
                        return "not well"
                finally:
                    well.cancel()
                self._ready.set()
                within_s = self._well_within_s
                await asyncio.wait({ended}, timeout=self._well_every_s)
        finally:
            ended.cancel()

    def _end(self, host: Host | None) -> None:
        if self._host is host:
            self._host = None
            self._ready.clear()
        if host is not None:
            with contextlib.suppress(Exception):
                host.kill()


async def _quiet(work: Awaitable[None]) -> str:
    """Why it failed, in a word; empty where it did not."""
    try:
        await work
    except Exception as failure:
        return type(failure).__name__
    return ""
