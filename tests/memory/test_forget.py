"""Forgetting is deletion: from every answer at once, from every file with a compaction, and for good."""

import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoran_ray.errors import RecordNotFound, StorageFull
from zoran_ray.memory.consent import Consent
from zoran_ray.memory.record import Layer
from zoran_ray.memory.search import Filter, Query

ALL = Filter(layers=frozenset(Layer))


def on_disk(folder):
    return b"".join(path.read_bytes() for path in folder.iterdir())


def found(shard, text, tenant="t"):
    hits = shard.search(Query(tenant, text, where=ALL))
    return {hit.record.id for hit in hits if hit.bm25}


def filled(lab):
    shard = lab.open()
    shard.give(Consent("c1", "t", "anna", ("knowledge",), tuple(Layer), 0.0))
    shard.put(
        [
            lab.record("swordfish of anna", id="a1", subject="anna", consent="c1"),
            lab.record("another swordfish of anna", id="a2", subject="anna"),
            lab.record("a swordfish of bert", id="b1", subject="bert"),
            lab.record("the swordfish of another house", id="u1", tenant="u", subject="anna"),
        ]
    )
    return shard


@pytest.mark.parametrize("when", ["at once", "reopened", "compacted", "reopened and compacted"])
def test_forget_records(lab, when):
    shard = filled(lab)
    assert shard.forget("t", ["a1", "a1", "nothing"]) == 1
    shard = later(lab, shard, when)
    assert found(shard, "swordfish") == {"a2", "b1"}
    with pytest.raises(RecordNotFound):
        shard.get("t", "a1")
    assert shard.forget("t", ["a1"]) == 0


@pytest.mark.parametrize("when", ["at once", "reopened", "compacted", "reopened and compacted"])
def test_forget_a_subject(lab, when):
    shard = filled(lab)
    assert shard.forget_subject("t", "anna") == 2
    shard = later(lab, shard, when)
    assert found(shard, "swordfish") == {"b1"}
    assert shard.export("t", "anna") == {"tenant": "t", "subject": "anna", "records": [], "consents": []}
    assert found(shard, "swordfish", "u") == {"u1"}
    assert shard.forget_subject("t", "anna") == 0


@pytest.mark.parametrize("when", ["at once", "reopened", "compacted", "reopened and compacted"])
def test_forget_a_tenant(lab, when):
    shard = filled(lab)
    assert shard.forget_tenant("t") == 3
    shard = later(lab, shard, when)
    assert found(shard, "swordfish") == set()
    assert found(shard, "swordfish", "u") == {"u1"}
    assert shard.stats().consents == 0


def later(lab, shard, when):
    if "reopened" in when:
        shard = lab.reopen(shard)
    if "compacted" in when:
        shard.compact()
        shard = lab.reopen(shard)
    return shard


def test_after_a_compaction_no_file_has_a_byte_of_it(lab):
    shard = lab.open()
    shard.put([lab.record("xyzzy the secret", id="secret-id", subject="plugh"), lab.record("kept")])
    shard.compact()
    shard.put([lab.record("more xyzzy", subject="plugh")])
    assert b"xyzzy" in on_disk(lab.folder)
    shard.forget_subject("t", "plugh")
    assert shard.stats().dropped > 0
    shard.compact()
    left = on_disk(lab.folder)
    for trace in (b"xyzzy", b"plugh", b"secret-id"):
        assert trace not in left
    assert b"kept" in left
    assert shard.stats().dropped == 0
    assert len(list(lab.folder.iterdir())) == 4  # lock, reserve, snapshot, log


@pytest.mark.parametrize("searched", [False, True], ids=["words not read yet", "words read"])
def test_nothing_of_it_is_left_in_memory(lab, searched):
    shard = lab.open()
    shard.put([lab.record("xyzzy", subject="plugh", id="gone"), lab.record("kept", id="kept")])
    if searched:
        assert [hit.record.id for hit in shard.search(Query("t", "xyzzy"))] == ["gone"]
    shard.forget("t", ["gone"])
    tenant = shard._store.state.tenants["t"]
    assert len(tenant._unread) == (0 if searched else 1)
    assert "plugh" not in tenant.subjects()
    assert "xyzzy" not in tenant._lexical._having
    assert not tenant._dense._rows[1:].any()
    assert all(body is None or b"xyzzy" not in body for body in tenant._bodies)


def test_a_crash_at_every_moment_of_a_compaction(lab, tmp_path):
    """Whatever step the machine stops at: all that is kept is there, nothing forgotten comes back."""
    shard = filled(lab)
    shard.forget_subject("t", "anna")
    steps = 0
    while True:
        copy = tmp_path / f"copy{steps}"
        shutil.copytree(lab.folder, copy)
        lab.disk.steps = None
        victim = lab.open(copy)
        lab.disk.steps = steps
        try:
            victim.compact()
        except lab.stops:
            stopped = True
        else:
            stopped = False
        lab.disk.steps = None
        after = tmp_path / f"after{steps}"
        shutil.copytree(copy, after)
        again = lab.open(after)
        assert found(again, "swordfish") == {"b1"}
        assert found(again, "swordfish", "u") == {"u1"}
        again.put([lab.record("swordfish after", id="n")])
        again.compact()
        assert b"of anna" not in on_disk(after)
        assert found(lab.reopen(again, folder=after), "swordfish") == {"b1", "n"}
        if not stopped:
            break
        steps += 1
    assert steps > 5


def test_a_full_disk_at_every_byte_of_a_compaction(lab):
    shard = filled(lab)
    shard.forget("t", ["a1"])
    for room in range(0, 900, 61):
        lab.disk.room = room
        with pytest.raises(StorageFull):
            shard.compact()
        assert not list(lab.folder.glob("*.part"))
    lab.disk.room = 1 << 20
    shard.put([lab.record("swordfish after", id="n")])
    shard.compact()
    assert found(lab.reopen(shard), "swordfish") == {"a2", "b1", "n"}


def test_a_compaction_whose_name_may_be_lost_is_done_again(lab):
    shard = filled(lab)
    sync_names = type(lab.disk).sync_names
    lab.disk.sync_names = lambda folder: (_ for _ in ()).throw(OSError(5, "Input/output error"))
    shard.compact()
    assert len(list(lab.folder.glob("snapshot-*"))) == 2
    del lab.disk.sync_names
    assert sync_names is type(lab.disk).sync_names
    shard.put([lab.record("swordfish after", id="n")])
    assert len(list(lab.folder.glob("snapshot-*"))) == 1
    assert found(lab.reopen(shard), "swordfish") == {"a1", "a2", "b1", "n"}


def test_what_ends_goes_from_the_disk_too(lab):
    shard = lab.open()
    shard.put([lab.record("xyzzy", expires=1010.0)])
    lab.now = 1020.0
    shard.compact()
    assert b"xyzzy" not in on_disk(lab.folder)


def test_an_export_has_everything_about_a_subject_and_nothing_else(lab):
    shard = filled(lab)
    exported = shard.export("t", "anna")
    assert [r["id"] for r in exported["records"]] == ["a1", "a2"]
    assert {r["subject"] for r in exported["records"]} == {"anna"}
    assert [c["id"] for c in exported["consents"]] == ["c1"]


moves = st.lists(
    st.tuples(
        st.sampled_from(["put", "forget", "subject", "tenant", "compact", "reopen"]),
        st.sampled_from(["t", "u"]),
        st.sampled_from(["s1", "s2"]),
        st.integers(0, 5),
    ),
    max_size=30,
)


@given(moves)
@settings(max_examples=60)
def test_the_shard_holds_what_a_plain_dictionary_would(new_lab, steps):
    lab = new_lab()
    shard, model = lab.open(), {}
    for action, tenant, subject, number in steps:
        name = f"{subject}-{number}"
        match action:
            case "put":
                shard.put([lab.record(f"word{number} {subject}", tenant=tenant, subject=subject, id=name)])
                model[(tenant, name)] = subject
            case "forget":
                assert shard.forget(tenant, [name]) == (model.pop((tenant, name), None) is not None)
            case "subject":
                gone = [key for key, who in model.items() if key[0] == tenant and who == subject]
                assert shard.forget_subject(tenant, subject) == len(gone)
                model = {key: who for key, who in model.items() if key not in gone}
            case "tenant":
                shard.forget_tenant(tenant)
                model = {key: who for key, who in model.items() if key[0] != tenant}
            case "compact":
                shard.compact()
            case "reopen":
                shard = lab.reopen(shard)
    shard = lab.reopen(shard)
    assert shard.stats().records == len(model)
    for tenant in ("t", "u"):
        mine = {name for owner, name in model if owner == tenant}
        assert found(shard, "s1 s2", tenant) == mine
    shard.close()
