"""Up to three replicas of one model for one request, while nothing of an answer has been passed on."""

from collections.abc import Awaitable, Callable, Collection
from typing import Protocol, TypeVar

from serve_apps.gateway.upstream import ReplicaLost
from zoran_ray.engines.fleet import Fleet
from zoran_ray.errors import UpstreamError
from zoran_ray.messages import ModelInfo, ReplicaInfo

_REPLICAS = 3

T = TypeVar("T")


class Replicas(Protocol):
    """`WaitingRoom`, or what chooses among what it gives."""

    def replica(
        self, model: ModelInfo, affinity: int | None = None, tried: Collection[str] = ()
    ) -> Awaitable[ReplicaInfo]:
        """A replica for one request. Raises: NoReplica, Overloaded."""
        ...


async def try_replicas(
    fleet: Fleet,
    waiting: Replicas,
    model: ModelInfo,
    ask: Callable[[ReplicaInfo], Awaitable[T]],
    affinity: int | None = None,
) -> T:
    """Asks one replica after the other until one is not lost.

    Args:
        fleet: Told who is asked and who was lost.
        waiting: Where the request waits for a replica.
        model: Whose replicas.
        ask: Asks one. Raises: ReplicaLost: Nothing has been passed on, another may be asked.
        affinity: See `Fleet.choose`.

    Raises:
        NoReplica, Overloaded: None takes the request.
        UpstreamError: Three were lost.
    """
    tried: set[str] = set()
    while True:
        replica = await waiting.replica(model, affinity, tried)
        fleet.begin(replica.replica_id)
        try:
            return await ask(replica)
        except ReplicaLost as lost:
            fleet.suspect(replica.replica_id)
            tried.add(replica.replica_id)
            if len(tried) >= _REPLICAS:
                raise UpstreamError(
                    f"{_REPLICAS} replicas of '{model.name}' were lost while answering; try again.",
                    retry_after_s=1.0,
                ) from lost
        finally:
            fleet.end(replica.replica_id)
