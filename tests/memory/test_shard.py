"""What a shard promises: durable, whole, closed to other tenants, bounded, up whatever comes in."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoran_ray.errors import (
    AlreadyRunning,
    ConfigError,
    EmbedderMismatch,
    InvalidRequest,
    PermissionDenied,
    RecordNotFound,
    StateDamaged,
    StorageFull,
    Unavailable,
)
from zoran_ray.memory.bounds import Bounds
from zoran_ray.memory.embedder import EmbedderId, HashedNgrams
from zoran_ray.memory.record import Layer, Sensitivity, embedding_bytes
from zoran_ray.memory.search import Filter, Query


def texts(hits):
    return [hit.record.text for hit in hits]


def ids(shard, tenant="t"):
    found = shard._store.state.tenants.get(tenant)
    return set(found.ids()) if found else set()


def test_what_was_put_is_found_and_survives(lab):
    shard = lab.open()
    tea = lab.record("Anna drinks green tea")
    assert shard.put([tea, lab.record("The bridge is closed")]).stored[0].id == tea.id
    for _ in range(2):
        assert shard.get("t", tea.id).text == "Anna drinks green tea"
        assert texts(shard.search(Query("t", "tea")))[0] == "Anna drinks green tea"
        assert shard.stats().records == 2
        shard = lab.reopen(shard)
    shard.compact()
    shard = lab.reopen(shard)
    assert shard.get("t", tea.id).text == "Anna drinks green tea"


def test_an_answer_is_the_same_after_reopening_and_compaction(lab):
    shard = lab.open()
    shard.put(
        [lab.record(f"note {i} about {'tea' if i % 3 else 'bridges'} and {i * 7 % 11}") for i in range(60)]
    )
    query = Query("t", "tea and bridges", lab.record("tea and bridges").embedding)
    before = [(hit.record.id, hit.score, hit.cosine, hit.bm25) for hit in shard.search(query)]
    shard = lab.reopen(shard)
    assert [(h.record.id, h.score, h.cosine, h.bm25) for h in shard.search(query)] == before
    shard.compact()
    shard = lab.reopen(shard)
    assert [(h.record.id, h.score, h.cosine, h.bm25) for h in shard.search(query)] == before


def test_a_write_may_come_twice(lab):
    shard = lab.open()
    record = lab.record("once")
    first, second = shard.put([record]), shard.put([record])
    assert first.stored == second.stored
    assert second.batch == b""
    assert shard.stats().records == 1
    with pytest.raises(InvalidRequest, match="id"):
        shard.put([lab.record("another", id=record.id)])


def test_all_records_of_a_write_or_none(lab):
    shard = lab.open()
    with pytest.raises(InvalidRequest, match="purpose"):
        shard.put([lab.record("good"), lab.record("bad", purpose="unheard of")])
    assert shard.stats().records == 0


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"purpose": "unheard of"}, InvalidRequest),
        ({"embedding": embedding_bytes([1.0, 2.0])}, InvalidRequest),
        ({"expires": 999.0}, InvalidRequest),
        ({"sensitivity": Sensitivity.SPECIAL}, PermissionDenied),
        ({"text": "", "embedding": b""}, InvalidRequest),
    ],
)
def test_bad_records_are_refused_and_the_shard_stays_up(lab, changes, error):
    shard = lab.open()
    with pytest.raises(error):
        shard.put([lab.record(**{"text": "bad", **changes})])
    shard.put([lab.record("good")])
    assert texts(shard.search(Query("t", "good"))) == ["good"]


@pytest.mark.parametrize("numbers", [[1.0], [float("nan")] * 32, [0.0] * 32, [float("inf")] * 32])
def test_bad_questions(lab, numbers):
    shard = lab.open()
    with pytest.raises(InvalidRequest):
        shard.search(Query("nobody", "", np.array(numbers, "<f4").tobytes()))


def test_writes_are_bounded(lab):
    shard = lab.open(bounds=Bounds(records=2, batch=2, tenants=2))
    with pytest.raises(InvalidRequest, match="at most 2"):
        shard.put([lab.record(str(i)) for i in range(3)])
    shard.put([lab.record("one"), lab.record("two")])
    with pytest.raises(StorageFull):
        shard.put([lab.record("three")])
    assert shard.forget("t", ["r4"]) + shard.forget("t", ["r5"]) >= 1
    shard.put([lab.record("three", tenant="u")])
    shard.forget_tenant("t")
    shard.put([lab.record("four", tenant="v")])
    shard.forget_tenant("v")
    small = lab.open(lab.folder.parent / "small", bounds=Bounds(memory_bytes=10_000))
    while small.stats().memory_bytes <= 10_000:
        small.put([lab.record(f"text {lab.count}" * 20)])
    with pytest.raises(StorageFull, match="memory"):
        small.put([lab.record("one more")])


def test_memory_is_given_back(lab):
    shard = lab.open()
    empty = shard.stats().memory_bytes
    for round_ in range(5):
        shard.put([lab.record(f"note {round_} {i}") for i in range(100)])
        shard.forget_tenant("t")
    assert shard.stats().memory_bytes - empty < 100_000


def test_one_process_a_folder(lab):
    lab.open()
    with pytest.raises(AlreadyRunning):
        lab.open()


def test_a_folder_of_another_embedder_says_what_to_do(lab):
    shard = lab.open()
    shard.put([lab.record("tea")])
    for other in (HashedNgrams(16), EmbedderId("minilm", 32)):
        with pytest.raises(EmbedderMismatch, match="zoran memory reindex"):
            lab.reopen(shard, embedder=other)
    shard = lab.open(embedder=None)
    assert shard.embedder == EmbedderId("hashed-ngrams-1-32", 32)
    seen = []
    shard.reindex(HashedNgrams(16), lambda done, total: seen.append((done, total)))
    assert seen == [(1, 1)]
    shard = lab.reopen(shard, embedder=HashedNgrams(16))
    query = Query("t", "", embedding_bytes(HashedNgrams(16).embed(["tea"])[0]))
    assert shard.search(query)[0].cosine == pytest.approx(1.0)


def test_a_new_folder_needs_an_embedder(lab):
    with pytest.raises(ConfigError, match="embedder"):
        lab.open(embedder=None)


# Time


def test_records_end(lab):
    shard = lab.open()
    shard.put([lab.record("short lived", id="a", expires=1010.0), lab.record("stays", id="b")])
    lab.now = 1009.9
    assert ids(shard) == {"a", "b"}
    lab.now = 1010.0
    with pytest.raises(RecordNotFound):
        shard.get("t", "a")
    assert texts(shard.search(Query("t", "short stays"))) == ["stays"]


def test_what_is_over_stays_over_when_the_clock_goes_back(lab):
    shard = lab.open()
    shard.put([lab.record("short lived", id="a", expires=1010.0)])
    lab.now = 1011.0
    assert shard.search(Query("t", "lived")) == []
    lab.now = 900.0
    assert shard.search(Query("t", "lived")) == []
    shard = lab.reopen(shard)
    assert shard.search(Query("t", "lived")) == []
    assert shard.stats().clock_behind_s == 111.0
    with pytest.raises(Unavailable, match="clock"):
        shard.put([lab.record("new", expires=1000.0)])
    shard.put([lab.record("new", expires=1020.0)])
    assert texts(shard.search(Query("t", "new"))) == ["new"]


def test_a_full_disk_does_not_keep_what_is_over(lab):
    shard = lab.open()
    shard.put([lab.record("short lived", id="a", expires=1010.0), lab.record("stays", id="b")])
    lab.disk.room = 0
    (lab.folder / "reserve").unlink()
    lab.now = 1011.0
    assert texts(shard.search(Query("t", "short stays lived"))) == ["stays"]
    lab.disk.room = 1 << 20
    shard.put([lab.record("more", id="c")])
    lab.now = 1000.0
    shard = lab.reopen(shard)
    assert ids(shard) == {"b", "c"}


def test_short_conversations_are_rings(lab):
    rules = lab.rules_with(Layer.SHORT, ring=3)
    shard = lab.open(rules=rules)
    for number in range(5):
        shard.put([talk(lab, number)])
    assert ids(shard) == {"c2", "c3", "c4"}
    shard.put([talk(lab, number) for number in range(10, 16)])
    assert ids(shard) == {"c13", "c14", "c15"}
    shard.put([talk(lab, 20, conversation="other")])
    assert len(ids(shard)) == 4
    shard = lab.reopen(shard, rules=rules)
    shard.put([talk(lab, 30)])
    assert ids(shard) == {"c14", "c15", "c30", "c20"}


def talk(lab, number, conversation="talk"):
    return lab.record(
        "same words",
        id=f"c{number}",
        layer=Layer.SHORT,
        purpose="conversation",
        conversation=conversation,
    )


# Disks


def test_a_full_disk_loses_nothing_that_was_acknowledged(lab):
    shard = lab.open()
    shard.put([lab.record("kept", id="kept")])
    lab.disk.room = 300
    with pytest.raises(StorageFull):
        shard.put([lab.record("x" * 1000)])
    assert texts(shard.search(Query("t", "kept"))) == ["kept"]
    with pytest.raises(StorageFull):
        shard.compact()
    lab.disk.room = 1 << 20
    shard.put([lab.record("after", id="after")])
    shard = lab.reopen(shard)
    assert ids(shard) == {"kept", "after"}


def test_forgetting_works_on_a_full_disk(lab):
    shard = lab.open()
    shard.put([lab.record("secret", id="a"), lab.record("kept", id="b")])
    lab.disk.room = 0
    assert shard.forget("t", ["a"]) == 1
    shard = lab.reopen(shard)
    assert ids(shard) == {"b"}


def test_a_disk_that_does_not_sync_and_comes_back(lab):
    shard = lab.open()
    shard.put([lab.record("kept", id="kept")])
    lab.disk.broken = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            shard.put([lab.record("in doubt", id="doubt")])
    assert texts(shard.search(Query("t", "kept doubt"))) == ["kept"]
    lab.disk.broken = False
    shard.put([lab.record("after", id="after")])
    shard = lab.reopen(shard)
    assert ids(shard) == {"kept", "after"}


def test_a_crash_at_any_byte_of_the_log(lab, tmp_path):
    shard = lab.open()
    sizes, states = [shard.stats().log_bytes], [set()]
    for step in range(6):
        if step == 3:
            shard.forget("t", ["r1"])
        else:
            shard.put([lab.record(f"note {step} a"), lab.record(f"note {step} b")])
        sizes.append(shard.stats().log_bytes)
        states.append(ids(shard))
    log = lab.folder / "log-00000001"
    whole = log.read_bytes()
    copy = tmp_path / "copy"
    for cut in sorted({*sizes, *(s - 1 for s in sizes[1:]), *range(sizes[0], sizes[-1], 37)}):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(lab.folder, copy)
        (copy / log.name).write_bytes(whole[:cut])
        again = lab.open(copy)
        assert ids(again) == states[sum(size <= cut for size in sizes) - 1]
        again.close()


def test_an_unreadable_snapshot_is_an_error_and_can_be_salvaged(lab):
    shard = lab.open()
    shard.put([lab.record("snapshot", id="a")])
    shard.compact()
    shard.put([lab.record("log", id="b")])
    shard.close()
    snapshot = lab.folder / "snapshot-00000002"
    content = bytearray(snapshot.read_bytes())
    content[-60] ^= 1
    snapshot.write_bytes(content)
    with pytest.raises(StateDamaged, match="salvage"):
        lab.open()
    assert snapshot.read_bytes() == content
    shard = lab.open(salvage=True)
    assert "b" in ids(shard)
    shard = lab.reopen(shard)
    assert "b" in ids(shard)


@pytest.mark.parametrize("spoil", [lambda p: p.unlink(), lambda p: p.write_bytes(b"")])
@pytest.mark.parametrize("name", ["log-00000002", "snapshot-00000002"])
def test_files_that_are_gone_are_an_error(lab, spoil, name):
    shard = lab.open()
    shard.compact()
    shard.close()
    spoil(lab.folder / name)
    with pytest.raises(StateDamaged):
        lab.open()


def test_a_first_snapshot_that_is_gone_is_an_error_too(lab):
    shard = lab.open()
    shard.put([lab.record("kept")])
    shard.close()
    (lab.folder / "snapshot-00000001").unlink()
    with pytest.raises(StateDamaged):
        lab.open()
    assert b"kept" in (lab.folder / "log-00000001").read_bytes()


def test_a_crash_at_every_moment_of_the_first_opening(lab):
    for steps in range(20):
        lab.disk.steps = steps
        try:
            shard = lab.open(lab.folder.parent / f"first{steps}")
        except lab.stops:
            lab.disk.steps = None
            shard = lab.open(lab.folder.parent / f"first{steps}")
        lab.disk.steps = None
        shard.put([lab.record("kept")])
        shard = lab.reopen(shard, folder=lab.folder.parent / f"first{steps}")
        assert shard.stats().records == 1


# Tenants


def test_no_tenant_sees_anothers_record_by_its_id(lab):
    shard = lab.open()
    shard.put([lab.record("secret", tenant="a", id="x")])
    errors = []
    for name in ("x", "never was"):
        with pytest.raises(RecordNotFound) as caught:
            shard.get("b", name)
        errors.append(caught.value.message)
        with pytest.raises(RecordNotFound):
            shard.confirm("b", name)
        with pytest.raises(RecordNotFound):
            shard.promote("b", name, 1)
        assert shard.forget("b", [name]) == 0
    assert errors[0] == errors[1]
    assert shard.export("b", "s")["records"] == []
    shard.put([lab.record("mine", tenant="b", id="x")])
    assert shard.get("a", "x").text == "secret"


words = st.sampled_from(["tea", "bridge", "anna", "green", "closed", "secret"])
steps = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["put", "forget", "subject", "tenant", "get", "search", "export", "compact"]),
        st.sampled_from(["s1", "s2"]),
        st.integers(0, 4),
        st.lists(words, min_size=1, max_size=3),
    ),
    max_size=25,
)


def played(lab, moves, only=None):
    """What tenant `a` sees of these moves."""
    shard, seen = lab.open(), []
    for tenant, action, subject, number, said in moves:
        if only is not None and tenant != only:
            continue
        if action == "compact":
            shard.compact()
            continue
        answer = one(shard, lab, tenant, action, subject, f"i{number}", " ".join(said))
        if tenant == "a":
            seen.append(answer)
    shard.close()
    return seen


def one(shard, lab, tenant, action, subject, name, text):
    record = lab.record(text, tenant=tenant, subject=subject, id=name)
    try:
        match action:
            case "put":
                return shard.put([record]).stored
            case "forget":
                return shard.forget(tenant, [name])
            case "subject":
                return shard.forget_subject(tenant, subject)
            case "tenant":
                return shard.forget_tenant(tenant)
            case "get":
                return shard.get(tenant, name)
            case "search":
                return shard.search(Query(tenant, text, record.embedding, 3))
            case _:
                return shard.export(tenant, subject)
    except (InvalidRequest, RecordNotFound) as error:
        return type(error), error.message


@given(moves=steps)
@settings(max_examples=60)
def test_what_others_do_changes_nothing_for_a_tenant(new_lab, moves):
    """Not an id, not a score, not an error message: the same as if the others were not there."""
    assert played(new_lab(), moves) == played(new_lab(), moves, only="a")


# Processes

WRITER = """
import sys
from pathlib import Path
from zoran_ray.memory.embedder import HashedNgrams
from zoran_ray.memory.record import Layer, Record, embedding_bytes
from zoran_ray.memory.rules import read_rules
from zoran_ray.memory.shard import MemoryShard

rules, embedder = read_rules(Path(sys.argv[2])), HashedNgrams(32)
shard = MemoryShard(Path(sys.argv[1]), embedder, rules)
start = int(sys.argv[3])
for number in range(start, start + 100_000):
    text = f"note {number}"
    vector = embedding_bytes(embedder.embed([text])[0])
    name = f"r{number}"
    shard.put([Record(name, "t", "s", text, "knowledge", 1.0, Layer.LONG, vector, "user:a")])
    print("+" + name, flush=True)
    if number % 5 == 0:
        shard.forget("t", [name])
        print("-" + name, flush=True)
    if number % 50 == 0:
        shard.compact()
"""


def test_kill_9_in_the_middle_of_writes(lab):
    """A few times here; the benchmark does it fifty times."""
    rules = Path(__file__).parents[2] / "configs" / "memory.yaml"
    chance = random.Random(7)
    there, gone = set(), set()
    for turn in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, lab.folder, rules, str(turn * 100_000)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        wanted = chance.randrange(60, 200)
        lines = [writer.stdout.readline() for _ in range(wanted)]
        time.sleep(chance.random() * 0.01)
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
        writer.stdout.close()
        writer.wait(timeout=30)
        for line in (line.strip() for line in lines if line.endswith("\n")):
            (there.add if line[0] == "+" else gone.add)(line[1:])
        lab.now = time.time()
        shard = lab.open()
        found = ids(shard)
        in_flight = {max(there, key=lambda name: int(name[1:]))}
        assert there - gone - in_flight <= found
        assert not gone & found
        assert len(found - (there - gone)) <= 1  # a write whose acknowledgement nobody read
        there = found  # what nobody was told is now known
        shard.close()


def test_filters(lab):
    shard = lab.open()
    shard.put([lab.record("tea one", subject="a"), lab.record("tea two", subject="b", created=500.0)])
    shard.put([lab.record("tea three", subject="b", source="web:x.org", id="w")])

    def found(**where):
        return sorted(texts(shard.search(Query("t", "tea", where=Filter(**where)))))

    assert found() == ["tea one", "tea two"]
    assert found(subjects=("b",)) == ["tea two"]
    assert found(subjects=("b", "nobody"), layers=frozenset(Layer)) == ["tea three", "tea two"]
    assert found(layers=frozenset({Layer.PARASITIC})) == ["tea three"]
    assert found(since=600.0) == ["tea one"]
    assert found(until=600.0) == ["tea two"]
    assert found(purposes=("conversation",)) == []
    assert found(purposes=("knowledge",), layers=frozenset()) == []
    assert found(subjects=()) == []
