"""What actors tell Prometheus: real actors as plain classes, real states."""

import errno
import os
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors.batch import BatchWorker
from actors.journal import JournalWriter
from actors.memory import MemoryDirector
from actors.watched import batch_text, memory_text, routing_text
from zoran_ray.errors import Unavailable
from zoran_ray.journal import Event, Kind
from zoran_ray.memory.answers import Stats
from zoran_ray.memory.rules import rules_of
from zoran_ray.models_file import ModelSpec
from zoran_ray.routing.live import LiveResonator
from zoran_ray.settings import MemorySettings, RoutingSettings

EVENT = Event(Kind.ROUTING_DECISION, {"left_out": 1})


def read(text: str) -> dict[str, float]:
    """Values by the name and its labels' values."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {" ".join((sample.name, *sample.labels.values())): sample.value for sample in samples}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir(mode=0o700)
    return made


async def test_the_journal_counts_entries_and_what_its_disk_refused(folder: Path) -> None:
    broken = False

    def fsync(handle: int) -> None:
        if broken:
            raise OSError(errno.ENOSPC, "No space left on device")
        os.fsync(handle)

    journal = JournalWriter(folder, fsync=fsync)
    before = read(await journal.metrics())
    assert "zoran_journal_entries_total" not in before
    assert before["zoran_journal_failures_total"] == 0
    assert 0 < before["zoran_state_disk_free_bytes"] <= before["zoran_state_disk_size_bytes"]
    assert not list(folder.iterdir())
    await journal.append((EVENT, EVENT))
    assert read(await journal.metrics())["zoran_journal_entries_total"] == 2
    broken = True
    with pytest.raises(Unavailable):
        await journal.append((EVENT,))
    told = read(await journal.metrics())
    assert told["zoran_journal_failures_total"] == 1
    assert told["zoran_journal_waiting"] == 0
    broken = False
    await journal.stop()


async def test_a_memory_and_batches_that_nobody_uses_are_not_started(folder: Path) -> None:
    assert await MemoryDirector(folder, MemorySettings(), rules_of(None)).metrics() == ""
    told = read(await BatchWorker(folder, 60.0).metrics())
    assert told["zoran_batches in_progress"] == told["zoran_batch_lines waiting"] == 0
    assert not list(folder.iterdir())


def test_a_shard_that_is_away_is_down_and_hides_no_other() -> None:
    stats = Stats(5, 1, 0, 1000, 200, 2, 0.0, 0)
    told = read(memory_text({"shard-0": (stats, ("shard-1",)), "shard-1": TimeoutError()}))
    assert told == {
        "zoran_memory_shard_up shard-0": 1,
        "zoran_memory_shard_up shard-1": 0,
        "zoran_memory_shard_unsure shard-0": 1,
        "zoran_memory_records shard-0": 5,
        "zoran_memory_bytes shard-0": 1000,
        "zoran_memory_log_bytes shard-0": 200,
        "zoran_memory_dropped_records shard-0": 2,
    }


def test_lines_of_finished_batches_wait_no_more() -> None:
    told = read(batch_text({"in_progress": (1, 10, 3, 1), "cancelled": (2, 20, 5, 0)}))
    for state, lines in (("waiting", 6), ("completed", 8), ("failed", 1)):
        assert told[f"zoran_batch_lines {state}"] == lines
    for status, batches in (("in_progress", 1), ("cancelled", 2), ("expired", 0)):
        assert told[f"zoran_batches {status}"] == batches


def test_routing_tells_of_its_guard_and_its_models() -> None:
    live = LiveResonator(RoutingSettings(), "epoch")
    assert read(routing_text(live.state() | {"behind": 3}))["zoran_route_behind_reports"] == 3
    live.follow([ModelSpec(name="m", source="embedded")])
    told = read(routing_text(live.state() | {"behind": 0}))
    assert told["zoran_route_stability_threshold"] == RoutingSettings().guard_threshold
    assert told["zoran_route_share local/m"] == 1
    assert told["zoran_route_drift_alarms_total local/m"] == 0
    assert {f"zoran_route_lessons_total {kind}" for kind in live.state()["counts"]} <= set(told)
