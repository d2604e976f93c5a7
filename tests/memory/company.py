"""Shards of one memory in this process, each of which can be killed and started again."""

import asyncio
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from zoran_ray.memory.embedder import EmbedderId, HashedNgrams
from zoran_ray.memory.links import CALL_S, LocalLink, ShardLost
from zoran_ray.memory.placement import Layout, Place
from zoran_ray.memory.replica import Replica
from zoran_ray.memory.replicated import ReplicatedShard
from zoran_ray.memory.rules import read_rules
from zoran_ray.memory.sharded import ShardedMemory
from zoran_ray.memory.store import Durability
from zoran_ray.memory.wal import Fsync

RULES = read_rules(Path(__file__).parents[2] / "configs" / "memory.yaml")
EMBEDDER = HashedNgrams(32)


class Way:
    """From one shard to another, which can be cut at either end."""

    def __init__(self, company, here, there):
        self._company, self._ends, self._link = company, {here, there}, company.link(there)

    async def ask(self, method, *args, timeout_s=CALL_S):
        """As `links.Link`."""
        if self._ends & self._company.cut:
            raise ShardLost(method)
        answer = await self._link.ask(method, *args, timeout_s=timeout_s)
        if self._ends & self._company.cut:
            raise ShardLost(method)
        return answer


class Company:
    """Shards `s0`, `s1` …, each on a node of its own unless `nodes` says otherwise."""

    def __init__(self, folder, shards=3, replicas=2, nodes=None):
        self.folder = folder
        nodes = nodes or [f"n{i}" for i in range(shards)]
        self.layout = Layout(tuple(Place(f"s{i}", nodes[i]) for i in range(shards)), replicas)
        self.links = {}
        self.cut = set()
        self.memory = self.client()

    def client(self):
        async def layout():
            return self.layout

        return ShardedMemory(layout, self.link)

    def link(self, name):
        return self.links.setdefault(name, LocalLink(None))

    def replica(self, name):
        return self.link(name).replica

    async def start(self, name):
        durability = Durability(fsync=Fsync.NEVER, noting=True)
        shard = ReplicatedShard(self.folder / name, EmbedderId.of(EMBEDDER), RULES, durability=durability)
        link = self.link(name)
        link.replica = Replica(name, shard, self.layout, partial(Way, self, name))
        link.down = False
        await link.replica.start()

    async def kill(self, name):
        """The process ends between two operations of its disk; what is on its way gets no answer."""
        link = self.link(name)
        link.down = True
        replica, link.replica = link.replica, None
        for task in replica._tasks:
            task.cancel()
        await asyncio.gather(*replica._tasks, return_exceptions=True)
        await replica._jobs.close(replica._shard._store._lock.release)

    async def settled(self):
        """Returns once every shard is sure and up for every other."""
        async with asyncio.timeout(20):
            while not all(self._settled(name) for name in self.layout.shards):
                await asyncio.sleep(0.02)

    def _settled(self, name):
        replica = self.replica(name)
        return replica is not None and not replica._unsure and all(p.up for p in replica._peers.values())

    def state(self, name):
        return self.replica(name)._shard._store.state


@asynccontextmanager
async def running(folder, **how):
    """A company that works; it is ended with the block."""
    company = Company(folder, **how)
    for name in company.layout.shards:
        await company.start(name)
    await company.settled()
    try:
        yield company
    finally:
        for name in company.layout.shards:
            if company.replica(name) is not None:
                with suppress(Exception):
                    await company.replica(name).stop()
