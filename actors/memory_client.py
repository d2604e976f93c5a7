"""How gateways and shards reach the memory's shards: through Ray, by name."""

from typing import Any

from actors.names import MEMORY, call, plain_errors
from zoran_ray.memory.links import CALL_S, ShardLost
from zoran_ray.memory.placement import Layout
from zoran_ray.memory.sharded import ShardedMemory

_LAYOUT_S = 60.0
"""The first to ask waits for the shards to start, and perhaps for keys to move."""
_MOVE_S = 1800.0


def shard_actor(shard: str) -> str:
    """Name of a shard's actor."""
    return f"memory:{shard}"


class RayLink:
    """One shard, by name: a shard that was restarted is found again."""

    def __init__(self, shard: str) -> None:
        self._actor = shard_actor(shard)

    async def ask(self, method: str, *args: Any, timeout_s: float = CALL_S) -> Any:
        """Calls a method of the shard's `Replica`. Raises: ShardLost, ZoranError."""
        with plain_errors(ShardLost(method), broken="A shard of the memory failed"):
            return await call(self._actor, "ask", method, *args, timeout_s=timeout_s)


async def layout() -> Layout:
    """The layout that holds now. Raises: ZoranError: What keeps the memory from starting."""
    return await _directed("layout", timeout_s=_LAYOUT_S)


async def remove_shard(shard: str) -> Layout:
    """Goes on without a shard that is lost, see `MemoryDirector.remove`. Raises: ZoranError."""
    return await _directed("remove", shard, timeout_s=_MOVE_S)


async def _directed(method: str, *args: Any, timeout_s: float) -> Layout:
    with plain_errors("The memory is being started; try again shortly."):
        found: Layout = await call(MEMORY, method, *args, timeout_s=timeout_s)
    return found


def memory_client() -> ShardedMemory:
    """The memory of this cluster."""
    return ShardedMemory(layout, RayLink)
