"""A memory of one real shard, a real journal beside it, and both made to fail when a test says so."""

import time
from pathlib import Path

from actors.journal import JournalWriter
from serve_apps.gateway.memory_desk import MemoryDesk, no_traces
from serve_apps.gateway.memory_journal import MemoryJournal
from zoran_ray.errors import Unavailable
from zoran_ray.memory.embedder import HashedNgrams
from zoran_ray.memory.rules import read_rules
from zoran_ray.memory.service import ShardStats
from zoran_ray.memory.shard import MemoryShard
from zoran_ray.messages import KeyInfo

RULES = read_rules(Path(__file__).parents[2] / "configs" / "memory.yaml")
DIMENSION = 32


def key(tenant, name="app"):
    return KeyInfo(f"id-{tenant}-{name}", name, digest="", tenant=tenant)


class Watched:
    """A `MemoryService` that notes what it is asked.

    Attributes:
        inner: The service.
        refusal: Raised by every call, where it is set.
        asked: Names of the methods that were called.
    """

    def __init__(self, inner):
        self.inner = inner
        self.refusal = None
        self.asked = []

    def __getattr__(self, method):
        async def call(*args, **options):
            self.asked.append(method)
            if self.refusal is not None:
                raise self.refusal
            return await getattr(self.inner, method)(*args, **options)

        return call


class OneShard:
    """`MemoryService` over one shard in this process."""

    def __init__(self, shard):
        self.shard = shard

    async def embedder(self):
        return self.shard.embedder

    async def put(self, records):
        return self.shard.put(records).stored

    async def get(self, tenant, record_id):
        return self.shard.get(tenant, record_id)

    async def search(self, query):
        return self.shard.search(query)

    async def confirm(self, tenant, record_id):
        return self.shard.confirm(tenant, record_id).stored[0]

    async def promote(self, tenant, record_id, journal_leaf):
        return self.shard.promote(tenant, record_id, journal_leaf).stored[0]

    async def give(self, consent):
        self.shard.give(consent)

    async def withdraw(self, tenant, consent_id, *, forget=True):
        self.shard.withdraw(tenant, consent_id, forget=forget)

    async def forget(self, tenant, ids):
        return self.shard.forget(tenant, ids)

    async def forget_subject(self, tenant, subject):
        return self.shard.forget_subject(tenant, subject)

    async def forget_tenant(self, tenant):
        return self.shard.forget_tenant(tenant)

    async def export(self, tenant, subject):
        return self.shard.export(tenant, subject)

    async def compact(self):
        self.shard.compact()

    async def stats(self):
        return (ShardStats("shard-0", "here", self.shard.stats()),)


class MemoryStage:
    """A desk and everything behind it.

    Args:
        folder: Of the journal, and of the shard.
        memory: A `MemoryService` of `DIMENSION`; None for one over a shard of its own.
        traces: Deletes traces.

    Attributes:
        embedded: Texts that were embedded, with the key that paid.
        journal_fails: Whether the journal refuses.
    """

    def __init__(self, folder, memory=None, traces=no_traces):
        self.embedder = HashedNgrams(DIMENSION)
        self.shard = None if memory else MemoryShard(folder / "shard", self.embedder, RULES)
        self.memory = Watched(memory or OneShard(self.shard))
        (folder / "state").mkdir(mode=0o700)
        self.writer = JournalWriter(folder / "state")
        self.journal_fails = False
        self.durable = []
        self.embedded = []
        journal = MemoryJournal(self._tell, self._forget_names)
        self.desk = MemoryDesk(self.memory, self._embed, journal, RULES, time.time, traces)

    async def close(self):
        await self.writer.stop()
        if self.shard is not None:
            self.shard.close()

    async def entries(self):
        """What the journal holds, as (kind, meta)."""
        rows = (await self.writer.tail(1000))["entries"]
        return [(row["kind"], row["meta"]) for row in rows]

    async def _embed(self, texts, key):
        self.embedded += [(text, key.key_id) for text in texts]
        return [row.astype("<f4").tobytes() for row in self.embedder.embed(texts)]

    async def _tell(self, events, durable):
        if self.journal_fails:
            raise Unavailable("The journal is full of canary-journal.")
        self.durable.append(durable)
        return await self.writer.append(events, durable)

    async def _forget_names(self, tenant, subject):
        if self.journal_fails:
            raise Unavailable("No.")
        await self.writer.forget_names(tenant, subject)
