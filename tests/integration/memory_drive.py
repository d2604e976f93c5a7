"""Started by `test_memory_cluster` in a process of its own, because a process has one Ray.

A cluster of two nodes on this machine with a shard on each. Shards and a node are killed while records are
written and forgotten; then the memory gets a third shard. Prints as JSON what became of it all.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

from actors.memory import MemoryDirector
from actors.memory_client import layout, memory_client, remove_shard
from actors.names import MEMORY, NAMESPACE
from tests.integration.own_ray import last_line, mark, processes_of
from zoran_ray.errors import InvalidRequest, RecordNotFound, Unavailable
from zoran_ray.memory.embedder import HashedNgrams
from zoran_ray.memory.placement import Layout
from zoran_ray.memory.record import Layer, Record, new_id
from zoran_ray.memory.rules import rules_of
from zoran_ray.memory.search import Query
from zoran_ray.memory.sharded import ShardedMemory
from zoran_ray.settings import MemorySettings

SMALL = {"num_cpus": 1, "object_store_memory": 80 * 1024**2, "include_dashboard": False}
SETTINGS = MemorySettings(dimension=64)
EMBEDDER = HashedNgrams(64)
SUBJECTS = 20
KILLS = 3
WITHIN_S = 60.0


def record(number: int) -> Record:
    text = f"fact {number} about the number {number * 7}"
    return Record(
        id=new_id(),
        tenant="t",
        subject=f"u{number % SUBJECTS}",
        text=text,
        purpose="knowledge",
        created=time.time(),
        layer=Layer.LONG,
        source="user:x",
        embedding=EMBEDDER.embed([text])[0].tobytes(),
    )


class History:
    """What was written and forgotten, as it was acknowledged."""

    def __init__(self, memory: ShardedMemory) -> None:
        self.memory = memory
        self.there: dict[str, Record] = {}
        self.gone: set[str] = set()
        self.number = 0

    async def work(self, writes: int) -> None:
        for _ in range(writes):
            some = [record(self.number)]
            self.number += 1
            await self.memory.put(some)
            self.there |= {one.id: one for one in some}
            if self.number % 3 == 0:
                name = next(iter(self.there))
                del self.there[name]
                await self.memory.forget("t", [name])
                self.gone.add(name)

    async def faults(self) -> dict[str, int]:
        lost = [name for name in self.there if not await self._has(name)]
        back = [name for name in self.gone if await self._has(name)]
        found = await self.memory.search(
            Query("t", text="fact", embedding=EMBEDDER.embed(["fact"])[0].tobytes(), limit=200)
        )
        strangers = {hit.record.id for hit in found} - self.there.keys()
        return {"lost": len(lost), "back": len(back), "strangers": len(strangers), "found": len(found)}

    async def _has(self, name: str) -> bool:
        try:
            return (await self.memory.get("t", name)).id == name
        except RecordNotFound:
            return False


async def until(done: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not await done():
            await asyncio.sleep(0.1)


def all_sure(memory: ShardedMemory, shards: int) -> Callable[[], Awaitable[bool]]:
    async def sure() -> bool:
        rows = await memory.stats()
        return len(rows) == shards and all(row.stats and not row.waits_for for row in rows)

    return sure


async def until_removed(shard: str) -> Layout:
    """A node that is gone may be missed a moment later."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                return await remove_shard(shard)
            except (InvalidRequest, Unavailable):
                await asyncio.sleep(0.2)


async def counts(memory: ShardedMemory) -> list[int]:
    return [row.stats.records for row in await memory.stats() if row.stats]


def start_director(state_dir: Path, settings: MemorySettings) -> Any:
    head = {"node:__internal_head__": 0.001}
    options = {"name": MEMORY, "namespace": NAMESPACE, "max_concurrency": 100, "resources": head}
    rules = rules_of(None)
    return ray.remote(MemoryDirector).options(**options).remote(state_dir, settings, rules)


def shard_process(number: int) -> int:
    """Id of one of the shards' processes, off the process table."""
    found = processes_of("MemoryShardActor")
    return found[number % len(found)]


async def drive(cluster: Cluster, state_dir: Path) -> dict[str, Any]:
    told: dict[str, Any] = {}
    director = start_director(state_dir, SETTINGS)
    memory = memory_client()
    history = History(memory)
    await history.work(30)
    await until(all_sure(memory, 2))
    told["copies"] = [count == len(history.there) for count in await counts(memory)]
    for number in range(KILLS):
        writing = asyncio.create_task(history.work(12))
        await asyncio.sleep(0.05)
        os.kill(shard_process(number), signal.SIGKILL)
        await writing
        await until(all_sure(memory, 2))
    told["after_kills"] = await history.faults()

    beta = cluster.worker_nodes and next(iter(cluster.worker_nodes))
    cluster.remove_node(beta, allow_graceful=False)
    await history.work(12)
    told["without_node"] = await history.faults()
    cluster.add_node(**SMALL, node_name="beta")
    await until(all_sure(memory, 2))
    told["node_back"] = await history.faults()
    told["copies_then"] = [count == len(history.there) for count in await counts(memory)]

    ray.kill(director)
    await asyncio.sleep(1)
    director = start_director(state_dir, MemorySettings(dimension=64, shards=3))
    history.memory = memory = memory_client()
    await until(all_sure(memory, 3))
    told["grown"] = await history.faults()
    rows = [row.stats.records for row in await memory.stats() if row.stats]
    told["each_twice"] = sum(rows) == 2 * len(history.there)
    told["all_have_some"] = all(rows)

    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    lost = [place.shard for place in (await layout()).places if place.node == "beta"]
    left = [await until_removed(shard) for shard in lost]
    told["shards_left"] = list(left[-1].shards)
    await until(all_sure(memory, 3 - len(lost)))
    told["shrunk"] = await history.faults()
    await history.memory.forget_tenant("t")
    await history.memory.compact()
    told["files_with_facts"] = sum(
        b"fact " in path.read_bytes()
        for path in state_dir.rglob("*")
        if path.is_file() and path.parent.name not in lost
    )
    return told


def main() -> None:
    mark()
    sys.stderr.write("starting\n")
    with tempfile.TemporaryDirectory() as scratch:
        cluster = Cluster(initialize_head=True, head_node_args={**SMALL, "node_name": "alpha"})
        try:
            cluster.add_node(**SMALL, node_name="beta")
            ray.init(address=cluster.address, namespace=NAMESPACE, log_to_driver=False)
            told = asyncio.run(drive(cluster, Path(scratch)))
        finally:
            ray.shutdown()
            cluster.shutdown()
    last_line(told)


if __name__ == "__main__":
    main()
