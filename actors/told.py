"""How everybody else reaches the journal: tell it what happened, ask it what it knows.

Whoever must not wait has a `Telling`: what it cannot pass on in time it counts and leaves out.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Protocol

from actors.forgotten import Forgettings
from actors.names import JOURNAL, call, plain_errors
from zoran_ray.errors import InvalidRequest
from zoran_ray.journal import Event, Kind

EVERY_S = 0.25
MOST_UNTOLD = 4096
BATCH = 512

_WAIT_S = 5.0
_SILENCE = "The journal does not answer; it is being restarted, or its disk is slow. Try again shortly."


class Tell(Protocol):
    """`tell`, or what stands in for it."""

    def __call__(self, events: Sequence[Event], durable: bool = ...) -> Awaitable[int]: ...


async def tell(events: Sequence[Event], durable: bool = True, timeout_s: float = _WAIT_S) -> int:
    """Write events into the journal.

    Args:
        events: Stay together and in order.
        durable: Return once they are on the disk; otherwise once they would outlive the writer's process.
        timeout_s: Longest wait, in seconds. What came too late may have been written all the same.

    Returns:
        Number of the first one's entry.

    Raises:
        InvalidRequest: An event has something that no entry may hold; none was written.
        ConfigError: The journal's files are damaged or cannot be used.
        Unavailable: It is not there, too slow or overloaded, or its disk failed.
    """
    first: int = await ask_journal("append", tuple(events), durable, timeout_s=timeout_s)
    return first


async def forget_names(tenant: str, subject: str | None = None) -> None:
    """Make what the journal says of a subject, or of a tenant and all its subjects, say nothing.

    Raises:
        ConfigError, Unavailable: As `tell`.
    """
    await ask_journal("forget_names", tenant, subject)


async def ask_journal(method: str, *args: Any, timeout_s: float = _WAIT_S) -> Any:
    """Call `JournalWriter`. Raises: ZoranError: What it raises, plain; `Unavailable` where it is silent."""
    with plain_errors(_SILENCE):
        return await call(JOURNAL, method, *args, timeout_s=timeout_s)


class ForgottenEverywhere:
    """The list of whom all nodes are to forget; see `ForgottenList`. Errors are those of `tell`."""

    async def add(self, tenant: str, subject: str) -> None:
        """Puts one on it."""
        await ask_journal("forget_everywhere", tenant, subject)

    async def since(self, epoch: str, version: int) -> Forgettings:
        """What came after a version."""
        news: Forgettings = await ask_journal("forgotten_since", epoch, version)
        return news


class Telling:
    """Events on their way to the journal, for somebody who does not wait for them.

    One that was sent and not acknowledged is sent again, so it may be in the journal twice.

    Args:
        tell: Writes events.
        most: Events that may be on their way.
    """

    def __init__(self, tell: Tell, most: int = MOST_UNTOLD) -> None:
        self._tell = tell
        self._most = most
        self._waiting: deque[Event] = deque()
        self.left_out = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, events: Iterable[Event]) -> None:
        """Send them soon; those that there is no room for are counted instead."""
        for event in events:
            if len(self._waiting) < self._most:
                self._waiting.append(event)
            else:
                self.left_out += 1

    async def run(self) -> None:
        """Sends until something fails. Raises: ZoranError: What is waiting stays."""
        while True:
            await self.flush()
            await asyncio.sleep(EVERY_S)

    async def flush(self) -> None:
        """Send everything there is. Raises: ZoranError: What is waiting stays."""
        while self._waiting:
            batch = [self._waiting[place] for place in range(min(BATCH, len(self._waiting)))]
            try:
                await self._tell(batch, durable=any(e.kind is not Kind.ROUTING_DECISION for e in batch))
            except InvalidRequest:
                # It would be refused for ever.
                self.left_out += len(batch)
            for _ in batch:
                self._waiting.popleft()
        if left_out := self.left_out:
            await self._tell([Event(Kind.ROUTING_DECISION, {"left_out": left_out})], durable=False)
            self.left_out -= left_out
