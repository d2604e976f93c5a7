"""One replica for all calls of one request, so that what their prompts share is in its cache."""

import asyncio
from collections.abc import Collection

from serve_apps.gateway.waiting import WaitingRoom
from zoran_ray.messages import ModelInfo, ReplicaInfo


class OneReplica:
    """Gives all calls of a request the replica that the first one got, until it is lost."""

    def __init__(self, waiting: WaitingRoom) -> None:
        self._waiting = waiting
        self._choosing = asyncio.Lock()
        self._home: ReplicaInfo | None = None

    async def replica(
        self, model: ModelInfo, affinity: int | None = None, tried: Collection[str] = ()
    ) -> ReplicaInfo:
        """As `WaitingRoom.replica`; of calls that come together one chooses for all."""
        async with self._choosing:
            if self._home is None or self._home.replica_id in tried:
                self._home = await self._waiting.replica(model, affinity, tried)
            return self._home
