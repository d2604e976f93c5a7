"""The journal's actor as a plain class on real files: shared writes, disks that fail, names that go."""

import asyncio
import errno
import logging
import os
import threading
from contextlib import asynccontextmanager

import pytest

from actors import journal as journal_module
from actors.journal import MOST_EVENTS, JournalWriter
from tests.clock import Clock
from zoran_ray.errors import ConfigError, InvalidRequest, Overloaded, PermissionDenied, Unavailable
from zoran_ray.journal import (
    JOURNAL_FILE,
    KEY_FILE,
    SALTS_FILE,
    Event,
    Kind,
    VerifierKey,
    evidence_holds,
    parse_checkpoint,
    verify_file,
)

NOW = 1_700_000_000.0


class Disk:
    """Syncs files, or fails to; counts; can be held up."""

    def __init__(self):
        self.syncs = 0
        self.broken = False
        self.free = None

    def fsync(self, handle):
        if self.free is not None:
            self.free.wait()
        self.syncs += 1
        if self.broken:
            raise OSError(errno.EIO, "Input/output error")
        os.fsync(handle)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "state"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def disk():
    return Disk()


@asynccontextmanager
async def running(folder, disk=None, clock=None):
    writer = JournalWriter(folder, lambda: NOW, clock or Clock(), (disk or Disk()).fsync)
    try:
        yield writer
    finally:
        await writer.stop()


def wrote(number, tenant="", subject=""):
    return Event(Kind.MEMORY_WRITE, {"record": f"r-{number}"}, tenant, subject)


def held_up(disk):
    """The disk waits from now on, until the event that is returned is set."""
    disk.free = threading.Event()
    return disk.free


async def test_what_is_told_is_on_disk_and_can_be_proven(folder):
    async with running(folder) as writer:
        assert await writer.append((wrote(0), wrote(1, "acme", "lovelace"))) == 0
        assert await writer.append((wrote(2),), durable=False) == 2
        head = await writer.head()
        key = VerifierKey.parse(head["key"])
        assert (head["size"], head["origin"]) == (3, key.name)
        told = await writer.tail(2)
        assert [row["number"] for row in told["entries"]] == [1, 2]
        assert told["entries"][1] == {
            "number": 2, "at_ms": NOW * 1000, "kind": "memory.write", "meta": {"record": "r-2"},
        }  # fmt: skip
        assert (await writer.tail(2, before=1))["entries"][-1]["number"] == 0
        assert (await writer.tail(2, before=-5))["entries"] == []
        assert evidence_holds(await writer.prove(1), key)
        older = parse_checkpoint(head["note"])
        await writer.append((wrote(3),))
        offered = await writer.consistency(older.size)
        assert evidence_holds(offered | {"old_checkpoint": older.note}, key)
        with pytest.raises(ConfigError, match="not complete"):
            evidence_holds(offered, key)
    verdict = verify_file(folder / JOURNAL_FILE, key=key, against=older)
    assert verdict.is_good
    assert b"lovelace" not in b"".join(path.read_bytes() for path in folder.iterdir())


async def test_it_goes_on_in_a_next_life(folder):
    async with running(folder) as writer:
        await writer.append((wrote(0, "acme"),))
    async with running(folder) as writer:
        assert await writer.append((wrote(1, "acme"),)) == 1
        first, second = (await writer.tail())["entries"]
        assert first["meta"]["tenant"] == second["meta"]["tenant"]


async def test_callers_share_a_write_and_a_wait_for_the_disk(folder, disk):
    async with running(folder, disk) as writer:
        await writer.append((wrote(0),))
        before = disk.syncs
        gate = held_up(disk)
        telling = [asyncio.create_task(writer.append((wrote(k), wrote(k)))) for k in range(40)]
        await asyncio.sleep(0.05)
        gate.set()
        firsts = await asyncio.gather(*telling)
        assert disk.syncs - before <= 2
        assert sorted(firsts) == [1 + 2 * k for k in range(40)]
        rows = (await writer.tail(80))["entries"]
        assert [row["meta"]["record"] for row in rows[:4]] == ["r-0", "r-0", "r-1", "r-1"]


async def test_one_that_is_refused_spoils_nothing_for_the_others(folder):
    too_many = Event(Kind.MEMORY_WRITE, {f"n{k}": k for k in range(32)}, "acme", "lovelace")
    async with running(folder) as writer:
        given = await asyncio.gather(
            writer.append((wrote(0),)),
            writer.append((wrote(1), too_many)),
            writer.append((wrote(2),)),
            return_exceptions=True,
        )
        assert given[::2] == [0, 1]
        assert isinstance(given[1], InvalidRequest)
        assert (await writer.head())["size"] == 2


async def test_more_than_fits_is_turned_away(folder, disk, monkeypatch):
    monkeypatch.setattr(journal_module, "MOST_WAITING", 10)
    monkeypatch.setattr(journal_module, "MOST_CALLS", 2)
    async with running(folder, disk) as writer:
        await writer.append((wrote(0),))
        gate = held_up(disk)
        telling = [asyncio.create_task(writer.append((wrote(k),))) for k in range(30)]
        asking = [asyncio.create_task(writer.head()) for _ in range(5)]
        await asyncio.sleep(0.05)
        gate.set()
        told = await asyncio.gather(*telling, return_exceptions=True)
        asked = await asyncio.gather(*asking, return_exceptions=True)
        refused = [error for error in told if isinstance(error, Overloaded)]
        assert len(refused) == 20
        assert sum(isinstance(error, Overloaded) for error in asked) == 3
        assert (await writer.head())["size"] == 11, "whoever was refused was not written"
        for events in ((), (wrote(0),) * (MOST_EVENTS + 1)):
            with pytest.raises(InvalidRequest):
                await writer.append(events)
        for count in (0, 1001):
            with pytest.raises(InvalidRequest):
                await writer.tail(count)


async def test_whoever_goes_away_meanwhile_is_no_trouble(folder, disk):
    async with running(folder, disk) as writer:
        await writer.append((wrote(0),))
        gate = held_up(disk)
        leaving = asyncio.create_task(writer.append((wrote(1),)))
        staying = asyncio.create_task(writer.append((wrote(2),)))
        await asyncio.sleep(0.02)
        leaving.cancel()
        gate.set()
        assert await staying == 2


async def test_a_disk_that_failed_is_tried_again_at_the_next_call(folder, disk, caplog):
    async with running(folder, disk) as writer:
        await writer.append((wrote(0),))
        disk.broken = True
        with pytest.raises(Unavailable) as caught:
            await writer.append((wrote(1),))
        assert str(folder) not in caught.value.message, "callers are not told of our files"
        disk.broken = False
        # It was written, only not known to be on the disk: whoever heard of no success may not rely on it.
        assert await writer.append((wrote(2),)) in (1, 2)
        assert await writer.append((wrote(3),), durable=False) in (2, 3)
        assert str(folder) in caplog.text
    assert verify_file(folder / JOURNAL_FILE).is_good


async def test_a_journal_that_cannot_be_opened_is_left_alone_for_a_moment(folder, disk, caplog):
    clock = Clock()
    disk.broken = True
    async with running(folder, disk, clock) as writer:
        for _ in range(5):
            with pytest.raises(Unavailable):
                await writer.append((wrote(0),))
            with pytest.raises(Unavailable):
                await writer.head()
        assert disk.syncs == 1, "it was not read again each time"
        assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1
        disk.broken = False
        clock.now += journal_module.REST_S
        assert await writer.append((wrote(0),)) == 0


async def test_a_damaged_journal_fails_each_call_and_lives_again_once_mended(folder, caplog):
    clock = Clock()
    async with running(folder) as writer:
        await writer.append(tuple(wrote(k) for k in range(20)))
    file = folder / JOURNAL_FILE
    good = file.read_bytes()
    file.write_bytes(good[:10] + b"?" + good[11:])
    async with running(folder, clock=clock) as writer:
        for _ in range(3):
            with pytest.raises(ConfigError, match="log says why"):
                await writer.append((wrote(0),))
        with pytest.raises(ConfigError):
            await writer.tail()
        assert file.read_bytes() == good[:10] + b"?" + good[11:], "nothing was cut"
        file.write_bytes(good)
        clock.now += journal_module.REST_S
        assert await writer.append((wrote(20),)) == 20
    assert "Restore it from a backup" in caplog.text


@pytest.mark.parametrize("name", [KEY_FILE, SALTS_FILE])
async def test_files_that_are_open_to_others_are_not_used(folder, name):
    clock = Clock()
    async with running(folder) as writer:
        await writer.append((wrote(0, "acme"),))
    (folder / name).chmod(0o644)
    async with running(folder, clock=clock) as writer:
        with pytest.raises(ConfigError):
            await writer.append((wrote(1, "acme"),))
        (folder / name).chmod(0o600)
        clock.now += journal_module.REST_S
        assert await writer.append((wrote(1, "acme"),)) == 1


async def test_an_unfinished_write_is_cut_and_told(folder, caplog):
    async with running(folder) as writer:
        await writer.append((wrote(0),))
    with (folder / JOURNAL_FILE).open("ab") as file:
        file.write(b"half a record")
    async with running(folder) as writer:
        assert await writer.append((wrote(1),)) == 1
    assert "13 bytes" in caplog.text


async def test_two_writers_do_not_meet(folder):
    async with running(folder) as writer, running(folder) as other:
        await writer.append((wrote(0),))
        with pytest.raises(ConfigError):
            await other.append((wrote(1),))


async def test_a_tenant_proves_its_own_entries_alone(folder):
    async with running(folder) as writer:
        await writer.append((wrote(0, "acme", "lovelace"), wrote(1, "other"), wrote(2)))
        key = VerifierKey.parse((await writer.head())["key"])
        assert evidence_holds(await writer.prove(0, "acme"), key)
        for index, tenant in ((1, "acme"), (2, "acme"), (0, "other"), (0, "nobody"), (2, "")):
            with pytest.raises(PermissionDenied):
                await writer.prove(index, tenant)
        for index in (-1, 3, 10**30):
            with pytest.raises(InvalidRequest):
                await writer.prove(index)
        with pytest.raises(InvalidRequest):
            await writer.consistency(4)


async def test_forgotten_names_are_not_known_again(folder):
    async with running(folder) as writer:
        await writer.append((wrote(0, "acme", "lovelace"), wrote(1, "acme", "bob")))
        await writer.forget_names("acme", "lovelace")
        await writer.append((wrote(2, "acme", "lovelace"), wrote(3, "acme", "bob")))
        rows = (await writer.tail())["entries"]
        names = [row["meta"]["subject"] for row in rows]
        assert names[0] != names[2]
        assert names[1] == names[3]
        await writer.forget_names("acme")
        with pytest.raises(PermissionDenied):
            await writer.prove(0, "acme")
        # What was written stays, and can still be shown to be there.
        assert evidence_holds(await writer.prove(0), VerifierKey.parse((await writer.head())["key"]))
