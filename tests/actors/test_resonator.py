"""The Resonator's actor as a plain class, on a real journal: nothing acknowledged is ever lost."""

import asyncio
import contextlib
import logging
import pickle
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import orjson
import pytest

from actors import resonator as resonator_module
from actors import told as told_module
from actors.resonator import JOURNAL_FILE, ResonatorActor
from zoran_ray.errors import Overloaded, Unavailable, UnknownRequest
from zoran_ray.journal import Kind
from zoran_ray.messages import CatalogueSnapshot
from zoran_ray.models_file import ModelsFile, ModelSpec
from zoran_ray.offers import ArmSpec
from zoran_ray.routing import Features, Prompt
from zoran_ray.routing.journal import Logged
from zoran_ray.routing.reports import Answered, Scored
from zoran_ray.settings import JournalSettings, RoutingSettings

SETTINGS = RoutingSettings(size=24)
X = Features(24)(Prompt("Write a python function"))
NOW = 1_700_000_000.0
LOCAL = ModelSpec(name="small")
REMOTE = ArmSpec(
    name="openai/big", provider="openai", upstream="big", context_tokens=1000, data_goes="us",
    usd_per_million_input=1.0, usd_per_million_output=10.0,
)  # fmt: skip
ANSWERED = Answered(
    "r0", "local/small", "local/small", 0.5, 1, X, "code", 10, 100.0, 1.0, 1e-4, False, None, "alice", NOW
)
SCORED = Scored("r0", 1.0, "alice", NOW + 1)


class Registry:
    """Publishes a catalogue as the registry does."""

    def __init__(self, *models, arms=(REMOTE,)):
        self._changed = asyncio.Event()
        self.put(*models, arms=arms)

    def put(self, *models, arms=(REMOTE,)):
        version = self.told.version + 1 if hasattr(self, "told") else 1
        self.told = CatalogueSnapshot("e", version, ModelsFile(models=models, arms=arms))
        self._changed.set()
        self._changed = asyncio.Event()

    async def watch(self, epoch, version, timeout_s):
        if (epoch, version) == ("e", self.told.version):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
        return self.told if (epoch, version) != ("e", self.told.version) else None


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "state"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(resonator_module, "PUBLISH_S", 0.01)
    monkeypatch.setattr(resonator_module, "BATCH_S", 0.3)
    monkeypatch.setattr(resonator_module, "_RETRY_S", 0.01)
    monkeypatch.setattr(told_module, "EVERY_S", 0.01)


class Journal:
    """Takes what it is told of; while it is `down`, nothing."""

    def __init__(self):
        self.told = []
        self.calls = []
        self.down = False

    async def tell(self, events, durable=True):
        if self.down:
            raise Unavailable("The journal is down.")
        self.told += events
        self.calls.append((len(events), durable))
        return len(self.told) - len(events)

    async def heard(self, count):
        """What it was told, once it is so much."""
        async with asyncio.timeout(30):
            while len(self.told) < count:
                await asyncio.sleep(0.005)
        return self.told


@asynccontextmanager
async def running(
    folder, registry=None, settings=SETTINGS, *, kept=True, journal=None, **journalled
) -> AsyncIterator[ResonatorActor]:
    """An actor; `kept=False` ends it as `kill -9` would, without a last checkpoint."""
    registry, journal = registry or Registry(LOCAL), journal or Journal()
    told = JournalSettings(**journalled)
    actor = ResonatorActor(folder, settings, registry.watch, lambda: NOW, told, journal.tell)
    try:
        yield actor
    finally:
        if not kept:

            async def nothing():
                pass

            actor._keep_now = nothing
        await actor.stop()


def reports(n, first=0, **fields):
    return tuple(
        replace(ANSWERED, request_id=f"r{k}", at=NOW + k, **fields) for k in range(first, first + n)
    )


async def until(actor, **counts):
    """The state once these counts are reached."""
    async with asyncio.timeout(30):
        while True:
            state = await actor.state()
            if all(state["counts"][name] >= count for name, count in counts.items()) and state["arms"]:
                return state
            await asyncio.sleep(0.005)


async def test_publishes_what_it_learns(folder):
    registry = Registry(LOCAL)
    async with running(folder, registry) as actor:
        first = await actor.watch("", 0, 30.0)
        assert first.arms == ("local/small", "openai/big")
        assert await actor.watch(first.epoch, first.version, 0.01) is None
        waiting = asyncio.create_task(actor.watch(first.epoch, first.version, 30.0))
        await actor.report(reports(50, score=0.1))
        second = await waiting
        assert second.epoch == first.epoch
        assert second.version > first.version
        assert pickle.loads(pickle.dumps(second)).arms == first.arms
        state = await until(actor, answered=50)
        assert state["behind"] == 0
        assert state["arms"]["local/small"]["quality"] < 0.5
        orjson.dumps(state)


async def test_follows_the_catalogue(folder):
    registry = Registry(LOCAL)
    async with running(folder, registry) as actor:
        first = await actor.watch("", 0, 30.0)
        registry.put(
            LOCAL, ModelSpec(name="other"), ModelSpec(name="vectors", capabilities=("embeddings",))
        )
        second = await actor.watch(first.epoch, first.version, 30.0)
        assert second.arms == ("local/small", "local/other", "openai/big")


async def test_scores_are_counted_once_and_by_their_key_alone(folder):
    async with running(folder) as actor:
        await actor.report(reports(2))
        assert await actor.score(SCORED) == "counted"
        assert await actor.score(replace(SCORED, score=0.0)) == "duplicate"
        with pytest.raises(UnknownRequest):
            await actor.score(replace(SCORED, request_id="r1", key_id="mallory"))
        state = await until(actor, answered=2, scored=1)
        assert state["arms"]["local/small"]["outcomes"] == 3


async def test_a_score_waits_for_the_report_of_its_request(folder, monkeypatch):
    monkeypatch.setattr(resonator_module, "BATCH_S", 30.0)
    async with running(folder) as actor:
        early = asyncio.create_task(actor.score(SCORED))
        await actor.report(reports(1, first=5))
        await asyncio.sleep(0.05)
        assert not early.done()
        await actor.report(reports(1))
        assert await early == "counted"


async def test_too_many_scores_that_wait_are_turned_away(folder, monkeypatch):
    monkeypatch.setattr(resonator_module, "_MOST_WAITING", 2)
    async with running(folder) as actor:
        given = await asyncio.gather(*(actor.score(SCORED) for _ in range(6)), return_exceptions=True)
    assert sorted({type(error) for error in given}, key=str) == [Overloaded, UnknownRequest]
    with pytest.raises(Overloaded):
        await actor.report(reports(1) * 5000)


async def test_signs_come_in_batches_and_unknown_ones_are_nothing(folder):
    async with running(folder) as actor:
        sign = replace(SCORED, score=0.25, implicit=True)
        await actor.report((sign, *reports(1), replace(sign, request_id="r9")))
        state = await until(actor, answered=1, scored=1)
        assert state["counts"]["scored"] == 1


async def test_nothing_acknowledged_is_lost_by_a_sudden_end(folder):
    """Killed at once after its answers: everything is learned again from the log, in the same order."""
    async with running(folder, kept=False) as actor:
        await actor.report(reports(40, score=0.2))
        assert await actor.score(SCORED) == "counted"
    async with running(folder) as again:
        state = await until(again, answered=40, scored=1)
        assert state["arms"]["local/small"]["outcomes"] == 41
        # What a gateway sends again, because it heard no answer, is not learned twice.
        await again.report(reports(41, score=0.2))
        state = await until(again, answered=41)
        assert state["arms"]["local/small"]["outcomes"] == 42


async def test_goes_on_from_its_checkpoint_and_learns_only_the_rest(folder):
    async with running(folder) as actor:
        await actor.report(reports(40, score=0.2))
        before = await until(actor, answered=40)
    async with running(folder, kept=False) as actor:
        await until(actor)
        await actor.report(reports(3, first=40, score=0.2))
    async with running(folder) as again:
        state = await until(again, answered=3)
        assert state["counts"]["answered"] == 3
        assert state["arms"]["local/small"]["outcomes"] == 43
        assert state["budget"]["requests"] == 43
        assert state["epoch"] != before["epoch"]


async def test_checkpoints_by_itself(folder, monkeypatch):
    monkeypatch.setattr(resonator_module, "KEEP_S", 0.01)
    async with running(folder, kept=False) as actor:
        await actor.report(reports(10))
        await until(actor, answered=10)
        async with asyncio.timeout(30):
            while (kept := actor._journal.latest()) is None or kept[0].answered < 10:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"not a database" * 1000),
        lambda path: path.write_bytes(b""),
        lambda path: _execute(path, "DROP TABLE decisions"),
        lambda path: _execute(path, "PRAGMA user_version = 99"),
    ],
    ids=["noise", "empty", "foreign", "newer"],
)
async def test_a_spoiled_file_is_set_aside(folder, caplog, damage):
    async with running(folder) as actor:
        await actor.report(reports(5))
        await until(actor, answered=5)
    damage(folder / JOURNAL_FILE)
    with caplog.at_level(logging.WARNING):
        async with running(folder) as actor:
            await actor.report(reports(2))
            state = await until(actor, answered=2)
            assert state["arms"]["local/small"]["outcomes"] == 2
    assert "set aside" in caplog.text
    assert list(folder.glob(f"{JOURNAL_FILE}.damaged-*"))


async def test_a_spoiled_checkpoint_is_learned_again_from_the_log(folder, caplog):
    async with running(folder) as actor:
        await actor.report(reports(20, score=0.2))
        await until(actor, answered=20)
    _execute(folder / JOURNAL_FILE, "UPDATE checkpoint SET state = x'00'")
    async with running(folder) as actor:
        state = await until(actor, answered=20)
        assert state["arms"]["local/small"]["outcomes"] == 20
    assert "without its checkpoint" in caplog.text


async def test_a_spoiled_row_is_left_out_with_what_came_before(folder):
    async with running(folder, kept=False) as actor:
        await actor.report(reports(5))
    _execute(folder / JOURNAL_FILE, "UPDATE decisions SET propensity = 9 WHERE seq = 3")
    async with running(folder) as actor:
        await until(actor)
        await actor.report(reports(2, first=5))
        state = await until(actor, answered=2)
        assert state["counts"]["skipped"] >= 3


async def test_a_backlog_is_bounded(folder, monkeypatch, caplog):
    monkeypatch.setattr(resonator_module, "MOST_BEHIND", 10)
    registry = Registry(arms=(REMOTE,))
    async with running(folder, registry, kept=False) as actor:
        await actor.report(reports(50, score=0.5))
    async with running(folder) as actor:
        state = await until(actor, answered=10)
        assert state["counts"]["skipped"] == 40
        assert state["behind"] == 0
    assert "leaves out the oldest" in caplog.text


async def test_calls_are_answered_while_it_learns(folder):
    """A long backlog is learned in slices: a watcher does not wait for its end."""
    async with running(folder, kept=False) as actor:
        for first in range(0, 8000, 2000):
            await actor.report(reports(2000, first, score=0.5))
    async with running(folder) as actor:
        assert await actor.watch("", 0, 30.0) is not None
        state = await actor.state()
        assert state["behind"] > 0, "it answered before it had learned everything"


async def test_the_state_is_of_one_moment(folder):
    """What is learned while the disk is asked is counted, or else still behind."""
    async with running(folder) as actor:
        await actor.report(reports(5))
        await until(actor, answered=5)
        for task in actor._tasks:
            task.cancel()
        on_disk = actor._on_disk

        async def meanwhile(call):
            found = await on_disk(call)
            actor._live.learn(Logged(6, replace(ANSWERED, request_id="r6")))
            return found

        actor._on_disk = meanwhile
        state = await actor.state()
        actor._on_disk = on_disk
    assert (state["behind"], state["counts"]["answered"]) == (0, 6)


async def test_a_disk_that_fails_stops_no_snapshot(folder):
    async with running(folder) as actor:
        await actor.report(reports(1))
        before = await actor.watch("", 0, 30.0)
        await until(actor, answered=1)
        folder.chmod(0o500)
        (folder / JOURNAL_FILE).chmod(0o644)
        with pytest.raises(Exception, match="open to other users"):
            await actor.report(reports(1, first=1))
        assert (await actor.watch("", 0, 1.0)).epoch == before.epoch
        (folder / JOURNAL_FILE).chmod(0o600)
        folder.chmod(0o700)
        await actor.report(reports(1, first=1))
        await until(actor, answered=2)


async def test_a_rollback_is_announced_to_all_who_want_to_know(folder, caplog):
    settings = RoutingSettings(size=24, scores_per_key=1e6, most_moved=1.0)
    heard, journal = [], Journal()
    async with running(folder, settings=settings, journal=journal, routing=False) as actor:
        actor.hooks.append(heard.append)
        await actor.report(reports(250, score=0.9))
        await until(actor, answered=250)
        await actor.report(reports(300, first=250, score=0.0, failed=True))
        state = await until(actor, answered=550)
        told = await journal.heard(len(heard))
    assert heard
    assert state["guard"]["rollbacks"] == len(heard)
    assert [(event.kind, event.meta["rollbacks"]) for event in told] == [
        (Kind.GUARD_ROLLBACK, n + 1) for n in range(len(heard))
    ]
    assert all(durable for _, durable in journal.calls)
    assert "last good state" in caplog.text


async def test_the_journal_is_told_of_each_decision_once(folder):
    journal = Journal()
    async with running(folder, journal=journal) as actor:
        await actor.report(reports(3))
        await actor.report(reports(4))  # three of them again
        await actor.report((SCORED,))
        told = await journal.heard(4)
        assert [event.meta["request"] for event in told] == ["r0", "r1", "r2", "r3"]
    assert told[0].kind is Kind.ROUTING_DECISION
    assert told[0].at_ms == NOW * 1000
    assert told[0].meta == {
        "request": "r0", "key": "alice", "arm": "local/small", "chosen": "local/small", "task": "code",
        "propensity_ppm": 500_000, "snapshot": 1, "tokens_in": 10, "tokens_out": 100, "usd_nano": 100_000,
        "latency_ms": 1000, "ok": True,
    }  # fmt: skip
    assert not any(durable for _, durable in journal.calls)


async def test_nothing_that_is_no_token_reaches_the_journal(folder):
    journal = Journal()
    odd = {"request_id": "ada lovelace", "key_id": "ada@example.org", "latency_s": None, "at": 2.0**53}
    async with running(folder, journal=journal) as actor:
        await actor.report((replace(ANSWERED, **odd),))
        (event,) = await journal.heard(1)
    assert (event.meta["request"], event.meta["key"], event.meta["latency_ms"]) == (None, None, None)


async def test_the_journal_is_told_of_no_decision_where_that_is_switched_off(folder):
    journal = Journal()
    async with running(folder, journal=journal, routing=False) as actor:
        await actor.report(reports(3))
        await until(actor, answered=3)
        assert len(actor._told) == 0
    assert journal.told == []


async def test_nobody_waits_for_a_journal_and_what_it_misses_is_counted(folder):
    journal = Journal()
    journal.down = True
    async with running(folder, journal=journal) as actor:
        actor._told._most = 5
        await actor.report(reports(12))
        await until(actor, answered=12)
        journal.down = False
        *told, last = await journal.heard(6)
    assert [event.meta["request"] for event in told] == [f"r{k}" for k in range(5)]
    assert last.meta == {"left_out": 7}


async def test_no_prompt_is_in_the_file(folder):
    async with running(folder) as actor:
        await actor.report(reports(3))
        await until(actor, answered=3)
    written = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"python" not in written


def _execute(path, statement):
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)


def test_reports_carry_vectors_of_the_settings_size():
    assert len(ANSWERED.x) == 4 * SETTINGS.size
    assert np.isfinite(ANSWERED.vector()).all()
    assert time.time() > NOW
