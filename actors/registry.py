"""Who serves which model where, with what load; published to gateways as immutable snapshots.

The catalogue (what may be asked for, what it costs) is passed on in the same manner, but by itself: the
fleet changes four times a second and is sent each time, the catalogue with an edit.

Holds nothing durable: after a restart replicas and the operator's process tell it everything again
within a heartbeat. A plain class; `actors.start` gives it a mailbox.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from zoran_ray.messages import CatalogueSnapshot, FleetSnapshot, ModelInfo, ReplicaInfo
from zoran_ray.models_file import ModelsFile

log = logging.getLogger("zoran.registry")

HEARTBEAT_S = 0.25
SILENCE_S = 2.0
GATEWAY_SILENCE_S = 4.0
_COALESCE_S = 0.02
_PACE_S_PER_REPLICA = 0.00025
"""A picture of 1,000 replicas is made four times a second, as often as each says something new."""
_LIFELINE_CONNECT_S = 1.0
_MAX_REPLICAS = 4096
_MAX_GATEWAYS = 256
_MAX_FAILURES = 64


class ReplicaRegistry:
    """The single writer of the fleet's state.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._epoch = secrets.token_hex(4)
        self._version = 0
        self._models: dict[str, ModelInfo] = {}
        self._replicas: dict[str, ReplicaInfo] = {}
        self._seen: dict[str, float] = {}
        self._gateways: dict[str, tuple[float, str]] = {}
        self._failures: dict[tuple[str, str], Exception] = {}
        self._lifelines: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._picture = self.snapshot()
        self._next_picture: asyncio.TimerHandle | None = None
        self._catalogue: CatalogueSnapshot | None = None
        self._catalogue_changed = asyncio.Event()
        self._sweeper: asyncio.Task[None] | None = None

    # -- the operator's process -------------------------------------------------------------

    async def put_models(self, models: dict[str, ModelInfo]) -> None:
        """Declare what is to be served; sent again and again, so that a restart forgets nothing."""
        self._start_sweeping()
        if models != self._models:
            self._models = dict(models)
            self._publish()

    async def put_catalogue(self, file: ModelsFile) -> None:
        """Declare what may be asked for; sent again and again, so that a restart forgets nothing."""
        known = self._catalogue
        if known is None or file != known.file:
            version = known.version + 1 if known else 1
            self._catalogue = CatalogueSnapshot(self._epoch, version, file)
            self._catalogue_changed.set()
            self._catalogue_changed = asyncio.Event()

    async def failure(self, model: str, generation: str) -> Exception | None:
        """Why this deployment could not load, if a replica of it said so."""
        return self._failures.get((model, generation))

    # -- replicas ---------------------------------------------------------------------------

    async def heartbeat(self, info: ReplicaInfo) -> None:
        """A replica is there, in this state, with this load."""
        self._start_sweeping()
        known = self._replicas.get(info.replica_id)
        if known is None and len(self._replicas) >= _MAX_REPLICAS:
            return
        self._seen[info.replica_id] = self._clock()
        if known != info:
            self._replicas[info.replica_id] = info
            self._publish()
        if info.replica_id not in self._lifelines:
            self._lifelines[info.replica_id] = asyncio.create_task(self._lifeline(info))

    async def leave(self, replica_id: str) -> None:
        """A replica has gone."""
        self._seen.pop(replica_id, None)
        if task := self._lifelines.pop(replica_id, None):
            task.cancel()
        if self._replicas.pop(replica_id, None):
            self._publish()

    async def report_failure(self, model: str, generation: str, error: Exception) -> None:
        """A replica could not load its model."""
        self._failures[(model, generation)] = error
        while len(self._failures) > _MAX_FAILURES:
            del self._failures[next(iter(self._failures))]

    # -- gateways ---------------------------------------------------------------------------

    async def watch(self, epoch: str, version: int, timeout_s: float) -> FleetSnapshot | None:
        """The state once it differs from the given one, or None after `timeout_s`."""
        if epoch != self._epoch:
            return self.snapshot()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while version >= self._picture.version:
                    await self._changed.wait()
                return self._picture  # the same for all who wait: it is pickled once
        return None

    async def watch_catalogue(self, epoch: str, version: int, timeout_s: float) -> CatalogueSnapshot | None:
        """The catalogue once there is another than the given one, or None after `timeout_s`."""
        if not self._is_news(epoch, version):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._catalogue_changed.wait()
        return self._catalogue if self._is_news(epoch, version) else None

    async def fleet(self) -> FleetSnapshot:
        """The state now."""
        return self.snapshot()

    def snapshot(self) -> FleetSnapshot:
        return FleetSnapshot(
            epoch=self._epoch,
            version=self._version,
            gateways=max(1, len(self._gateways)),
            models=dict(self._models),
            replicas=tuple(self._replicas.values()),
        )

    async def gateway_heartbeat(self, gateway_id: str, metrics: str) -> None:
        """A gateway is there and has counted this (Prometheus text)."""
        self._start_sweeping()
        if gateway_id not in self._gateways:
            if len(self._gateways) >= _MAX_GATEWAYS:
                return
            self._gateways[gateway_id] = self._clock(), metrics
            self._publish()
        self._gateways[gateway_id] = self._clock(), metrics

    async def gateway_metrics(self) -> dict[str, str]:
        """What every gateway counted last."""
        return {name: text for name, (_, text) in self._gateways.items()}

    # -- inside -----------------------------------------------------------------------------

    def _is_news(self, epoch: str, version: int) -> bool:
        known = self._catalogue
        return known is not None and (known.epoch, known.version) != (epoch, version)

    def _publish(self) -> None:
        """Let gateways know soon: what else changes until then is told with it."""
        self._version += 1
        if self._next_picture is None:
            soon = max(_COALESCE_S, _PACE_S_PER_REPLICA * len(self._replicas))
            self._next_picture = asyncio.get_running_loop().call_later(soon, self._turn)

    def _turn(self) -> None:
        self._picture, self._next_picture = self.snapshot(), None
        self._changed.set()
        self._changed = asyncio.Event()

    def _start_sweeping(self) -> None:
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep())

    async def _sweep(self) -> None:
        """Forget replicas and gateways that have fallen silent, as those of a lost node do."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            horizon = self._clock() - SILENCE_S
            for replica_id in [r for r, seen in self._seen.items() if seen < horizon]:
                log.warning("replica silent for %.1f s, forgotten: %s", SILENCE_S, replica_id)
                await self.leave(replica_id)
            gone = [
                g for g, (seen, _) in self._gateways.items() if seen < self._clock() - GATEWAY_SILENCE_S
            ]
            for gateway_id in gone:
                del self._gateways[gateway_id]
                self._publish()

    async def _lifeline(self, info: ReplicaInfo) -> None:
        """An idle connection: the kernel closes it the moment the replica's process dies."""
        address = urlsplit(info.base_url)
        writer = None
        try:
            async with asyncio.timeout(_LIFELINE_CONNECT_S):
                reader, writer = await asyncio.open_connection(address.hostname, address.port)
            # The engine's server closes idle connections too, so an end is checked, not believed.
            while await reader.read(1024):
                pass
        except (OSError, TimeoutError):
            pass
        finally:
            if writer:
                writer.close()
            self._lifelines.pop(info.replica_id, None)
        if not await _listens(address.hostname or "", address.port or 0):
            log.warning("replica lost: %s", info.replica_id)
            await self.leave(info.replica_id)


async def _listens(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_LIFELINE_CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
