"""Making the vectors of running shards anew: joined, watched again, lost and failed."""

import asyncio
import math
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.memory.company import running
from zoran_ray.errors import Unavailable, UpstreamError, ZoranError
from zoran_ray.memory.embedder import EmbedderId, HashedNgrams
from zoran_ray.memory.links import LocalLink
from zoran_ray.memory.record import embedding_bytes
from zoran_ray.memory.reindex import Reindexed
from zoran_ray.memory.reindexing import ReindexJob, reindex_shards
from zoran_ray.memory.search import Query

PATIENCE_S = 10.0
NEW = HashedNgrams(48)


class Gated:
    """An embedder that can be held up, or fail."""

    id, dimension = NEW.id, NEW.dimension

    def __init__(self, failure=None):
        self.open, self.asked = threading.Event(), threading.Event()
        self.failure = failure

    def embed(self, texts, tenant=""):
        self.asked.set()
        assert self.open.wait(PATIENCE_S)
        if self.failure:
            raise self.failure
        return NEW.embed(texts)


class Running:
    """A shard that does what it is asked in a thread, as a replica does."""

    def __init__(self, shard, reindex=None):
        self.shard = shard
        self.job = ReindexJob(reindex or self._reindex, lambda: self.shard.embedder)

    async def _reindex(self, embedder, progress):
        await asyncio.to_thread(self.shard.reindex, embedder, progress)

    async def reindex_begin(self, embedder, again):
        self.job.begin(embedder, again)

    async def reindex_state(self):
        return self.job.state


class Shards:
    """Running shards with some records each."""

    def __init__(self, lab, names=("a", "b"), records=5):
        self.lab, self.links = lab, {}
        for name in names:
            shard = lab.open(Path(lab.folder.parent, name))
            shard.put([lab.record(f"text {name} {number}") for number in range(records)])
            self.links[name] = LocalLink(Running(shard))

    def reindex(self, embedder, told=lambda done, total: None, **options):
        options = {"poll_s": 0.01, **options}
        return reindex_shards(list(self.links), self.links.get, embedder, told, **options)

    def embedders(self):
        return {link.replica.shard.embedder for link in self.links.values()}


@pytest.fixture
def shards(lab):
    return Shards(lab)


async def test_all_shards_get_new_vectors(shards):
    told = []
    done = await shards.reindex(NEW, lambda *counts: told.append(counts))
    assert done == Reindexed(2, 0, 10)
    assert told[-1] == (10, 10)
    assert shards.embedders() == {EmbedderId.of(NEW)}
    query = Query("t", embedding=NEW.embed(["text a 3"])[0].astype("<f4").tobytes())
    assert shards.links["a"].replica.shard.search(query)[0].record.text == "text a 3"
    assert await shards.reindex(NEW) == Reindexed(0, 2, 0)
    assert (await shards.reindex(NEW, again=True)).shards == 2


async def test_who_asks_again_joins_what_runs(shards):
    gated = Gated()
    first = asyncio.create_task(shards.reindex(gated))
    await asyncio.to_thread(gated.asked.wait, PATIENCE_S)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.create_task(shards.reindex(Gated(ZoranError("never asked"))))
    await asyncio.sleep(0.05)
    gated.open.set()
    assert (await asyncio.wait_for(second, PATIENCE_S)).records == 10


async def test_a_shard_that_fails_keeps_its_vectors(shards):
    before = shards.embedders()
    broken = Gated(UpstreamError("The embedder is gone."))
    broken.open.set()
    with pytest.raises(UpstreamError, match="is gone"):
        await shards.reindex(broken)
    assert shards.embedders() == before
    assert (await shards.reindex(NEW)).shards == 2


async def test_an_unexpected_failure_tells_no_text(shards, caplog):
    broken = Gated(KeyError("a text"))
    broken.open.set()
    with pytest.raises(ZoranError, match="unexpected KeyError") as told:
        await shards.reindex(broken)
    assert "a text" not in str(told.value)
    assert "a text" not in caplog.text


async def test_a_shard_that_comes_back_begins_again(shards):
    gated = Gated()
    waiting = asyncio.create_task(shards.reindex(gated))
    await asyncio.to_thread(gated.asked.wait, PATIENCE_S)
    link = shards.links["b"]
    link.down = True
    gated.open.set()
    await asyncio.sleep(0.05)
    link.replica = Running(
        shards.lab.reopen(link.replica.shard, folder=shards.lab.folder.parent / "b", embedder=None)
    )
    link.down = False
    assert (await asyncio.wait_for(waiting, PATIENCE_S)).shards >= 1
    assert shards.embedders() == {EmbedderId.of(NEW)}


async def test_a_shard_that_stays_away_is_named(shards):
    shards.links["b"].down = True
    with pytest.raises(Unavailable, match="The shard b of the memory does not answer"):
        await shards.reindex(NEW, lost_s=0.05)


def direction(number):
    return [math.cos(number / 50), math.sin(number / 50)]


async def test_a_text_gets_the_vector_of_its_own_place(lab):
    class Numbered:
        id, dimension = "numbered", 2

        def embed(self, texts, tenant=""):
            return np.array([direction(int(text.split()[2])) for text in texts], np.float32)

    shards = Shards(lab, ["a"], records=150)
    await shards.reindex(Numbered())
    shard = shards.links["a"].replica.shard
    for number in range(150):
        query = Query("t", embedding=np.array(direction(number), "<f4").tobytes(), limit=1)
        assert shard.search(query)[0].record.text == f"text a {number}"


async def test_replicas_get_new_vectors_and_go_on(tmp_path, lab):
    async with running(tmp_path) as company:
        await company.settled()
        for number in range(20):
            await company.memory.put([lab.record(f"old {number}", subject=f"s{number % 5}")])
        layout = company.layout
        replicas = {name: company.replica(name) for name in layout.shards}
        links = {name: LocalLink(Running(each._shard, each.reindex)) for name, each in replicas.items()}
        done = await reindex_shards(layout.shards, links.get, NEW, lambda done, total: None, poll_s=0.01)
        assert done == Reindexed(3, 0, 20 * layout.copies)
        assert await company.memory.embedder() == EmbedderId.of(NEW)
        fresh = embedding_bytes(NEW.embed(["new 1"])[0])
        await company.memory.put([lab.record("new 1", embedding=fresh, subject="s1")])
        for text in ("old 7", "new 1"):
            query = Query("t", embedding=embedding_bytes(NEW.embed([text])[0]))
            assert (await company.memory.search(query))[0].record.text == text
