"""One peer of a shard: what is on its way to it, and whether it knows everything."""

import asyncio
from collections import deque
from collections.abc import Callable

from zoran_ray.errors import ZoranError
from zoran_ray.memory.links import Link, ShardLost

MOST_WAITING = 4096
MESSAGE_BYTES = 1 << 20


class Peer:
    """A peer as one shard sees it. Everything goes to it in one order, a message at a time.

    Args:
        link: How it is reached.
        introduce: Name and life of the shard itself, the first arguments of every message.
        known: Called with the number of a write once the peer has it.

    Attributes:
        up: It gets every write when it is made.
        folder: Id of its folder, once it has said so.
        life: Of its process; another one has to be told what it missed.
    """

    def __init__(self, link: Link, introduce: tuple[str, str], known: Callable[[int], None]) -> None:
        self.link = link
        self.up = False
        self.folder = ""
        self.life = ""
        self._introduce = introduce
        self._known = known
        self._waiting: deque[tuple[bytes, int, asyncio.Future[None]]] = deque()
        self._sending: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Nothing is on its way."""
        return self._sending is None

    def send(self, batch: bytes, number: int) -> asyncio.Future[None]:
        """Puts a write on its way. Done once the peer has it, or is not up any more: then it is noted."""
        arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self.up:
            arrived.set_result(None)
            return arrived
        self._waiting.append((batch, number, arrived))
        if len(self._waiting) > MOST_WAITING:
            self.lose()
        elif self._sending is None:
            self._sending = asyncio.create_task(self._send())
        return arrived

    def lose(self) -> None:
        """It does not get writes any more until it was told what it missed."""
        self.up = False
        while self._waiting:
            _done(self._waiting.popleft()[2])

    async def _send(self) -> None:
        try:
            while self._waiting:
                await self._send_some()
        finally:
            self._sending = None

    async def _send_some(self) -> None:
        some, size, knows = [], 0, False
        while self._waiting and size < MESSAGE_BYTES:
            some.append(self._waiting.popleft())
            size += len(some[-1][0])
        try:
            await self.link.ask("replicate", *self._introduce, [batch for batch, _, _ in some])
            if self.up:
                self._known(some[-1][1])
            knows = True
        except (ShardLost, ZoranError):
            pass
        finally:
            if not knows:
                self.lose()
            for _, _, arrived in some:
                _done(arrived)


def _done(arrived: asyncio.Future[None]) -> None:
    if not arrived.done():
        arrived.set_result(None)
