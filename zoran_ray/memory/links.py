"""How shards and their clients reach a shard: over Ray, or in the same process."""

import asyncio
from typing import Any, Protocol

CALL_S = 10.0
"""How long an answer may take, in seconds."""


class ShardLost(Exception):
    """The shard is not there, or does not answer."""


class Link(Protocol):
    """One shard, as others reach it."""

    async def ask(self, method: str, *args: Any, timeout_s: float = CALL_S) -> Any:
        """Calls a method of its `memory.replica.Replica`.

        Raises:
            ZoranError: What it raised.
            ShardLost: No answer; it may have done what it was asked.
        """
        ...


class LocalLink:
    """A shard in this process; `down` makes it unreachable."""

    def __init__(self, replica: object) -> None:
        self.replica = replica
        self.down = False

    async def ask(self, method: str, *args: Any, timeout_s: float = CALL_S) -> Any:
        replica = self.replica
        if self.down:
            raise ShardLost(method)
        try:
            async with asyncio.timeout(timeout_s):
                answer = await getattr(replica, method)(*args)
        except TimeoutError:
            raise ShardLost(method) from None
        finally:
            if self.down or self.replica is not replica:
                raise ShardLost(method)
        return answer
