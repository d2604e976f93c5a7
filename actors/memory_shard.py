"""One shard of the memory as a Ray actor: opens its folder, keeps it tidy, answers by name.

A folder that cannot be opened fails each call with the reason, and is tried again a moment later.
"""

import asyncio
import logging
import shutil
import time
from pathlib import Path
from typing import Any

from actors.memory_client import RayLink
from zoran_ray.errors import EmbedderMismatch, ZoranError
from zoran_ray.memory.bounds import Bounds
from zoran_ray.memory.embedder import Embedder, EmbedderId, check_same, chosen
from zoran_ray.memory.placement import Layout
from zoran_ray.memory.qdrant_connection import mirrors
from zoran_ray.memory.reindexing import ReindexJob, ReindexState
from zoran_ray.memory.replica import Replica
from zoran_ray.memory.replicated import ReplicatedShard
from zoran_ray.memory.rules import MemoryRules
from zoran_ray.memory.store import Durability
from zoran_ray.memory.wal import Fsync
from zoran_ray.settings import MemorySettings

log = logging.getLogger("zoran.memory")

TIDY_S = 60.0
FORGOTTEN_FOR_S = 3600.0
"""How long bytes of what was forgotten may stay in the files, in seconds."""
LOG_BYTES = 256 * 1024**2
"""A longer log is compacted: opening the shard replays it."""

_AGAIN_S = 0.5
_VECTORS = frozenset({"put", "search", "word_counts", "candidates"})
"""What makes no sense with vectors of another embedder than the configured one."""


class MemoryShardActor:
    """Gives a `Replica` a mailbox.

    Args:
        name: The shard's name in the layout.
        folder: Its folder, on this node.
        layout: All shards.
        settings: Embedder, durability, bounds.
        rules: Rules of the memory.
    """

    def __init__(
        self, name: str, folder: Path, layout: Layout, settings: MemorySettings, rules: MemoryRules
    ) -> None:
        self._name = name
        self._folder = folder
        self._layout = layout
        self._settings = settings
        self._rules = rules
        self._replica: Replica | None = None
        self._job: ReindexJob | None = None
        self._opening = asyncio.Lock()
        self._tidying: asyncio.Task[None] | None = None

    async def ask(self, method: str, *args: Any) -> Any:
        """Calls a method of `Replica`. Raises: ZoranError: What it raises, or why there is none."""
        if method.startswith("reindex_"):
            return await getattr(self, method)(*args)
        replica = await self._ready()
        if method in _VECTORS:
            check_same(await replica.embedder(), chosen(self._settings))
        return await getattr(replica, method)(*args)

    async def erase(self) -> None:
        """Begins anew with an empty folder."""
        await self._close()
        await asyncio.to_thread(shutil.rmtree, self._folder, True)

    async def reindex_begin(self, embedder: Embedder, again: bool) -> None:
        """Begins to make all vectors anew, see `ReindexJob`."""
        await self._ready()
        assert self._job is not None
        self._job.begin(embedder, again)

    async def reindex_state(self) -> ReindexState:
        """How far that is."""
        await self._ready()
        assert self._job is not None
        return self._job.state

    async def _ready(self) -> Replica:
        if self._replica is not None:
            return self._replica
        async with self._opening:
            if self._replica is None:
                shard = await self._opened()
                replica = Replica(
                    self._name, shard, self._layout, RayLink, sync=self._settings.fsync == "always"
                )
                self._job = ReindexJob(replica.reindex, lambda: shard.embedder)
                await replica.start()
                self._tidying = asyncio.create_task(self._tidy(replica))
                self._replica = replica
        return self._replica

    async def _opened(self) -> ReplicatedShard:
        """The shard; the process that had it before may need a moment to end."""
        try:
            return await asyncio.to_thread(self._open, chosen(self._settings))
        except EmbedderMismatch as mismatch:
            log.error("%s: %s", self._name, mismatch)
            return await asyncio.to_thread(self._open, None)
        except ZoranError as error:
            log.error("%s cannot be opened: %s", self._name, error)
            await asyncio.sleep(_AGAIN_S)
            return await asyncio.to_thread(self._open, chosen(self._settings))

    def _open(self, embedder: EmbedderId | None) -> ReplicatedShard:
        self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = self._settings
        # Where every write waits for the disk, many wait together: the replica syncs for all of them.
        fsync = Fsync.NEVER if settings.fsync == "always" else Fsync(settings.fsync)
        shard = ReplicatedShard(
            self._folder,
            embedder,
            self._rules,
            bounds=Bounds(settings.shard_records, settings.shard_memory_bytes),
            durability=Durability(fsync, settings.fsync_interval_s, noting=self._layout.copies > 1),
            mirror=mirrors(settings),
        )
        if cut := shard.stats().cut_bytes:
            log.warning("%s: an unfinished write of %d bytes was cut off", self._name, cut)
        strays = shard.drop_strays(lambda *key: self._name in self._layout.holders(*key))
        if strays:
            log.info("%s: %d subjects are with other shards now", self._name, strays)
        return shard

    async def _tidy(self, replica: Replica) -> None:
        """Drops what is over, and takes what was forgotten out of the files; runs until cancelled."""
        compacted_at = time.monotonic()
        while True:
            await asyncio.sleep(TIDY_S)
            try:
                stats, _ = await replica.stats()
                late = time.monotonic() - compacted_at >= FORGOTTEN_FOR_S
                if stats.log_bytes > LOG_BYTES or (stats.dropped and late):
                    await replica.compact()
                    compacted_at = time.monotonic()
            except ZoranError as failure:
                log.warning("%s was not compacted: %s", self._name, failure)

    async def _close(self) -> None:
        if self._tidying is not None:
            self._tidying.cancel()
        if self._replica is not None:
            replica, self._replica = self._replica, None
            await replica.stop()
