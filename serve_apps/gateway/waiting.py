"""Room for requests: how many a gateway holds, and how many may wait for a model's first replica."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Coroutine, Iterator
from typing import Any

from zoran_ray.engines.fleet import Fleet
from zoran_ray.errors import NoReplica, Overloaded
from zoran_ray.messages import ModelInfo, ReplicaInfo
from zoran_ray.telemetry import GatewayMetrics

_WAKE_EVERY_S = 5.0
# Suspicion passes without the fleet changing.
_LOOK_AGAIN_S = 0.5


class Admission:
    """Counts what this gateway holds; past `most` a request is refused at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.held = 0

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Room for one request.

        Raises:
            Overloaded: The gateway is full.
        """
        if self.held >= self._most:
            raise Overloaded(f"All {self._most} places are taken; try again shortly.", retry_after_s=1.0)
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1


class WaitingRoom:
    """Where requests wait while their model has no replica that takes them.

    Args:
        fleet: The gateway's view of the fleet.
        wake: Asks Serve for a first replica; called while somebody waits for one.
        metrics: Where those who wait are counted.
    """

    def __init__(
        self,
        fleet: Fleet,
        wake: Callable[[ModelInfo], Coroutine[Any, Any, None]],
        metrics: GatewayMetrics,
    ) -> None:
        self._fleet = fleet
        self._wake = wake
        self._metrics = metrics
        self._waiting: dict[str, int] = {}
        self._wakers: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """The fleet has changed."""
        self._changed.set()
        self._changed = asyncio.Event()

    def waiting(self) -> int:
        """Requests waiting now, over all models."""
        return sum(self._waiting.values())

    async def replica(
        self, model: ModelInfo, affinity: int | None = None, tried: Collection[str] = ()
    ) -> ReplicaInfo:
        """A replica for one request, as soon as there is one.

        Raises:
            Overloaded: Too many wait already.
            NoReplica: None came within the model's `queue_timeout_s`.
        """
        if found := self._fleet.choose(model.name, affinity, tried):
            return found
        waiting = self._waiting.get(model.name, 0)
        if waiting >= model.queue_limit:
            raise Overloaded(
                f"{waiting} requests already wait for '{model.name}' to start; try again shortly.",
                retry_after_s=5.0,
            )
        self._waiting[model.name] = waiting + 1
        try:
            with self._metrics.waiting(model.name).track_inprogress():
                async with asyncio.timeout(model.queue_timeout_s):
                    return await self._wait(model, affinity, tried)
        except TimeoutError:
            raise NoReplica(
                f"No replica of '{model.name}' became ready within {model.queue_timeout_s:.0f} s.",
                retry_after_s=10.0,
            ) from None
        finally:
            self._leave(model.name)

    async def _wait(self, model: ModelInfo, affinity: int | None, tried: Collection[str]) -> ReplicaInfo:
        if model.name not in self._wakers:
            self._wakers[model.name] = asyncio.create_task(self._keep_waking(model.name))
        while True:
            changed = self._changed
            if found := self._fleet.choose(model.name, affinity, tried):
                return found
            # A model may be unloaded while somebody waits for it.
            model = self._fleet.model(model.name)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await changed.wait()

    async def _keep_waking(self, name: str) -> None:
        while True:
            with contextlib.suppress(Exception):
                # Looked up anew: a change of settings replaces the application that can be woken.
                await self._wake(self._fleet.model(name))
            await asyncio.sleep(_WAKE_EVERY_S)

    def _leave(self, name: str) -> None:
        self._waiting[name] -= 1
        if not self._waiting[name]:
            del self._waiting[name]
            if waker := self._wakers.pop(name, None):
                waker.cancel()
