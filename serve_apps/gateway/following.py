"""Keeps what a gateway knows of the rest of the cluster fresh: replicas, keys, offers, routing.

Each is a snapshot that an actor publishes. While the actor does not answer, the last one stays.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from actors.names import ACCESS, REGISTRY, RESONATOR, watch
from serve_apps.gateway.arms import Arms
from serve_apps.gateway.door import Door
from serve_apps.gateway.doubt import Doubt
from serve_apps.gateway.router import Router
from serve_apps.gateway.waiting import WaitingRoom
from zoran_ray.engines.catalogue import Catalogue
from zoran_ray.engines.fleet import Fleet
from zoran_ray.messages import CatalogueSnapshot, FleetSnapshot, KeySnapshot
from zoran_ray.routing import Snapshot
from zoran_ray.telemetry import GatewayMetrics

log = logging.getLogger("zoran.gateway")

News = Callable[..., Awaitable[Any]]

_RETRY_S = 0.2
_FIRST_SNAPSHOT_S = 15.0


class Following:
    """Takes new snapshots over.

    Args:
        fleet: Told of replicas.
        door: Told of keys.
        arms: Told of the catalogue.
        router: Told of what routing has learned.
        waiting: Woken when replicas change.
        metrics: Told of what has series of its own.
        news: Waits for what an actor has that differs from what is known; see `actors.names.watch`.
    """

    def __init__(
        self,
        fleet: Fleet,
        door: Door,
        arms: Arms,
        router: Router,
        waiting: WaitingRoom,
        metrics: GatewayMetrics,
        news: News = watch,
    ) -> None:
        self._fleet = fleet
        self._door = door
        self._arms = arms
        self._router = router
        self._waiting = waiting
        self._metrics = metrics
        self._watch = news
        self._doubt = Doubt(time.monotonic)
        self._keys = -1
        self._catalogue = "", 0

    async def first(self) -> None:
        """Fetches what requests need; gives up after 15 s, and `run` goes on."""
        first = asyncio.gather(self._pull_fleet(), self._pull_keys(), self._pull_catalogue())
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_FIRST_SNAPSHOT_S):
                await first

    async def run(self) -> None:
        """Follows all of them, for ever."""
        await asyncio.gather(
            _follow("the fleet", self._pull_fleet),
            _follow("the keys", self._pull_keys),
            _follow("the catalogue", self._pull_catalogue),
            _follow("routing", self._pull_routing),
        )

    async def _pull_fleet(self) -> None:
        known = self._fleet.snapshot
        fresh: FleetSnapshot | None = await self._watch(REGISTRY, "watch", known.epoch, known.version)
        if fresh and not self._doubt.accepts(fresh, known):
            await asyncio.sleep(_RETRY_S)
        elif fresh:
            self._fleet.update(fresh)
            self._metrics.observe_fleet(fresh)
            self._waiting.notify()

    async def _pull_keys(self) -> None:
        fresh: KeySnapshot | None = await self._watch(ACCESS, "watch_keys", self._keys)
        if fresh:
            self._door.update(fresh)
            self._keys = fresh.version

    async def _pull_catalogue(self) -> None:
        fresh: CatalogueSnapshot | None = await self._watch(REGISTRY, "watch_catalogue", *self._catalogue)
        if fresh:
            self._arms.update(Catalogue(fresh.file))
            self._metrics.observe_catalogue([spec.name for spec in fresh.file.arms])
            self._catalogue = fresh.epoch, fresh.version

    async def _pull_routing(self) -> None:
        known = self._router.snapshot
        epoch, version = (known.epoch, known.version) if known else ("", 0)
        fresh: Snapshot | None = await self._watch(RESONATOR, "watch", epoch, version)
        if fresh:
            self._router.update(fresh)
            self._metrics.observe_routing(fresh.arms, fresh.tasks, fresh.rollbacks)


async def _follow(what: str, pull: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await pull()
        except Exception as failure:
            log.debug("no news of %s, the last snapshot stays: %s", what, type(failure).__name__)
            await asyncio.sleep(_RETRY_S)
