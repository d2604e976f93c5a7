"""Several shards, of which some are killed: nothing acknowledged is lost, nothing forgotten returns."""

import asyncio
import itertools
import random
import time

import pytest

from tests.memory.company import EMBEDDER, RULES, running
from zoran_ray.errors import RecordNotFound, ShardBehind, StateDamaged, Unavailable
from zoran_ray.memory.consent import Consent
from zoran_ray.memory.embedder import EmbedderId
from zoran_ray.memory.record import Layer, Record, new_id
from zoran_ray.memory.replicated import ReplicatedShard
from zoran_ray.memory.search import Filter, Query
from zoran_ray.memory.shard import MemoryShard
from zoran_ray.memory.store import Durability

WORDS = ["apple", "pear", "plum", "cherry", "fig", "quince", "lemon", "lime", "mango", "melon"]


def record(subject, text, tenant="t", **fields):
    made = {"id": new_id(), "purpose": "knowledge", "created": time.time(), "layer": Layer.LONG}
    embedding = EMBEDDER.embed([text])[0].tobytes()
    return Record(
        tenant=tenant, subject=subject, text=text, source="user:x", embedding=embedding, **made | fields
    )


def fact(rng, number):
    return f"number {number}: {' '.join(rng.choices(WORDS, k=6))}"


async def until(fact):
    async with asyncio.timeout(20):
        while not fact():
            await asyncio.sleep(0.02)


def question(text, **how):
    return Query("t", text=text, embedding=EMBEDDER.embed([text])[0].tobytes(), **how)


def test_a_replica_does_the_same(tmp_path):
    first, second = (
        ReplicatedShard(tmp_path / name, EmbedderId.of(EMBEDDER), RULES, durability=Durability(noting=True))
        for name in "ab"
    )
    for text in ("tea", "please tea", "bridge"):
        second.replicate("a", [first.put([record("anna", text)]).batch])
    assert first.export("t", "anna") == second.export("t", "anna")
    with pytest.raises(StateDamaged):
        second.replicate("a", [b"nonsense"])
    first.close()
    second.close()


@pytest.mark.parametrize(("shards", "replicas"), [(2, 1), (2, 2), (3, 2), (4, 2), (3, 3)])
async def test_many_shards_find_what_one_finds(tmp_path, shards, replicas):
    rng = random.Random(shards * 10 + replicas)
    whole = MemoryShard(tmp_path / "whole", EmbedderId.of(EMBEDDER), RULES)
    async with running(tmp_path, shards=shards, replicas=replicas) as company:
        for number in range(120):
            one = record(f"u{number % 13}", fact(rng, number))
            whole.put([one])
            await company.memory.put([one])
        for _ in range(20):
            asked = question(fact(rng, 0), limit=10)
            found = await company.memory.search(asked)
            expected = whole.search(asked)
            assert [(h.record.id, h.score, h.cosine, h.bm25) for h in found] == [
                (h.record.id, h.score, h.cosine, h.bm25) for h in expected
            ]
        about = question("apple pear", where=Filter(subjects=("u1", "u2")), limit=50)
        assert {h.record.subject for h in await company.memory.search(about)} <= {"u1", "u2"}
    whole.close()


async def test_every_record_is_on_as_many_nodes_as_asked(tmp_path):
    async with running(tmp_path, shards=4, nodes=["a", "a", "b", "b"]) as company:
        for number in range(60):
            await company.memory.put([record(f"u{number}", "apple")])
        counts = [company.state(name).records for name in company.layout.shards]
        assert counts[0] + counts[1] == counts[2] + counts[3] == 60
        assert all(counts)


async def test_what_was_forgotten_while_a_shard_was_away_is_gone_when_it_is_back(tmp_path):
    async with running(tmp_path, shards=2) as company:
        memory, records = company.memory, [record("anna", f"fact {i}") for i in range(5)]
        await memory.put(records)
        await memory.put([record("bob", "fact of bob")])
        await company.kill("s1")
        assert await memory.forget("t", [records[0].id]) == 1
        assert await memory.forget_subject("t", "bob") == 1
        fresh = record("anna", "told while one was away")
        await memory.put([fresh])
        await company.start("s1")
        await company.settled()
        await company.kill("s0")
        left = await memory.export("t", "anna")
        assert {r["id"] for r in left["records"]} == {r.id for r in records[1:]} | {fresh.id}
        assert (await memory.export("t", "bob"))["records"] == []


async def test_a_shard_that_may_have_missed_something_answers_nothing(tmp_path):
    async with running(tmp_path, shards=2) as company:
        one = record("anna", "fact")
        await company.memory.put([one])
        await company.kill("s1")
        await company.memory.forget("t", [one.id])
        await company.kill("s0")
        await company.start("s1")
        with pytest.raises(ShardBehind, match="s0"):
            await company.replica("s1").get("t", one.id)
        with pytest.raises(ShardBehind):
            await company.replica("s1").search(question("fact"))
        with pytest.raises(ShardBehind):
            await company.replica("s1").put([record("anna", "another")])
        await company.start("s0")
        await company.settled()
        with pytest.raises(RecordNotFound):
            await company.memory.get("t", one.id)


async def test_a_shard_that_is_cut_off_answers_nothing_until_it_was_told(tmp_path):
    async with running(tmp_path, shards=3) as company:
        alone = company.replica("s0")
        subject = next(f"u{i}" for i in range(99) if "s0" in company.layout.holders("t", f"u{i}"))
        company.cut.add("s0")
        await until(lambda: alone._unsure == {"s1", "s2"})
        with pytest.raises(ShardBehind):
            await alone.put([record(subject, "of nobody's knowledge")])
        fresh = record(subject, "fact")
        await company.memory.put([fresh])
        company.cut.clear()
        while alone._unsure:
            with pytest.raises(ShardBehind):
                await alone.get("t", fresh.id)
            await asyncio.sleep(0.01)
        assert (await alone.get("t", fresh.id)).text == "fact"


async def test_a_shard_of_two_goes_on_alone(tmp_path):
    async with running(tmp_path, shards=2) as company:
        company.cut.add("s0")
        await until(lambda: company.replica("s1")._silent == {"s0"})
        await company.replica("s1").put([record("anna", "fact")])


async def test_who_was_told_everything_all_the_time_is_sure_again(tmp_path):
    async with running(tmp_path, shards=3) as company:
        company.replica("s0")._unsure.update({"s1", "s2"})
        await until(lambda: not company.replica("s0")._unsure)
        company.replica("s0")._unsure.add("s1")
        await company.replica("s0").hello(
            "s1", company.replica("s1").life, "f", False, told="a life before"
        )
        assert company.replica("s0")._unsure == {"s1"}


async def test_an_operator_can_go_on_without_a_shard_that_is_lost(tmp_path):
    async with running(tmp_path, shards=2) as company:
        one = record("anna", "fact")
        await company.memory.put([one])
        await company.kill("s1")
        await company.kill("s0")
        await company.start("s1")
        await company.replica("s1").go_without("s0")
        assert (await company.memory.get("t", one.id)).text == "fact"


async def test_a_shard_whose_disk_was_lost_gets_everything_again(tmp_path):
    async with running(tmp_path, shards=2) as company:
        for number in range(20):
            await company.memory.put([record(f"u{number}", "apple")])
        await company.memory.give(Consent("c", "t", "u1", ("knowledge",), (Layer.LONG,), 1.0))
        await company.kill("s1")
        (tmp_path / "s1").rename(tmp_path / "lost")
        await company.memory.forget_subject("t", "u7")
        await company.start("s1")
        await company.settled()
        assert company.state("s1").records == company.state("s0").records == 19
        assert company.state("s1").consents.find("t", "c") is not None


async def test_a_withdrawn_consent_is_withdrawn_at_every_replica(tmp_path):
    async with running(tmp_path, shards=2) as company:
        memory = company.memory
        await memory.give(Consent("c", "t", "anna", ("personalisation",), (Layer.LONG,), 1.0))
        kept = record("anna", "likes figs", purpose="personalisation", consent="c")
        await memory.put([kept])
        await company.kill("s0")
        await memory.withdraw("t", "c", forget=False)
        await company.start("s0")
        await company.settled()
        for name in company.layout.shards:
            assert company.state(name).consents.find("t", "c").withdrawn is not None
            assert not await company.replica(name).records("t", [kept.id])


async def test_where_nobody_stands_in_half_an_answer_is_none(tmp_path):
    async with running(tmp_path, shards=2, replicas=1) as company:
        for number in range(20):
            await company.memory.put([record(f"u{number}", "apple")])
        await company.kill("s1")
        for attempt in (
            lambda: company.memory.search(question("apple")),
            lambda: company.memory.forget_tenant("t"),
        ):
            with pytest.raises(Unavailable):
                async with asyncio.timeout(30):
                    await attempt()


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_acknowledged_is_lost_and_nothing_forgotten_returns(tmp_path, seed):
    """One shard at a time is killed at any moment, also several times in a row, among concurrent writes."""
    rng = random.Random(seed)
    async with running(tmp_path, shards=3) as company:
        history = History(company, rng)
        for _ in range(5):
            victim = rng.choice(company.layout.shards)
            async with asyncio.TaskGroup() as group:
                for worker in range(4):
                    group.create_task(history.work(worker, 12))
                await asyncio.sleep(rng.random() * 0.02)
                await company.kill(victim)
            await history.work(0, 5)
            await company.start(victim)
            if rng.random() < 0.5:
                await history.work(1, 3)
            await company.settled()
        await history.check()


class History:
    """Does things to a memory, and knows what has to be there."""

    def __init__(self, company, rng):
        self.company, self.rng = company, rng
        self.there, self.gone, self.maybe = {}, set(), set()
        self.numbers = itertools.count()

    async def work(self, worker, times):
        """Each worker has subjects of its own, so that their order is known."""
        for _ in range(times):
            subject = f"w{worker}-{self.rng.randrange(3)}"
            mine = [r for r in self.there.values() if r.subject == subject]
            await self.rng.choice([self._put, self._put, self._put, self._forget, self._forget_subject])(
                subject, mine
            )

    async def _put(self, subject, mine):
        some = [record(subject, fact(self.rng, next(self.numbers))) for _ in range(self.rng.randint(1, 3))]
        self.maybe |= {r.id for r in some}
        await self.company.memory.put(some)
        self.there |= {r.id: r for r in some}

    async def _forget(self, subject, mine):
        ids = [r.id for r in mine[:2]]
        for name in ids:
            del self.there[name]
        await self.company.memory.forget("t", ids)
        self.gone |= set(ids)

    async def _forget_subject(self, subject, mine):
        for r in mine:
            del self.there[r.id]
        await self.company.memory.forget_subject("t", subject)
        self.gone |= {r.id for r in mine}

    async def check(self):
        for name, one in self.there.items():
            assert (await self.company.memory.get("t", name)).text == one.text
        for name in self.gone:
            with pytest.raises(RecordNotFound):
                await self.company.memory.get("t", name)
        layout = self.company.layout
        for shard in layout.shards:
            state = self.company.state(shard)
            ids = set(state.tenants["t"].ids()) if "t" in state.tenants else set()
            held = {n for n, r in self.there.items() if shard in layout.holders("t", r.subject)}
            assert ids == held
