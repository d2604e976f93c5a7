"""Snapshots hold long texts as `Z5::` frames, and give back what was written, of every form."""

import pytest

from zoran_ray.errors import StateDamaged
from zoran_ray.memory import record as records
from zoran_ray.memory import store
from zoran_ray.memory.record import encode_body
from zoran_ray.memory.z5 import codec

TALK = "Anna asked whether the train to Lyon leaves at nine, and what it costs to take the bicycle too. "
SAID = {
    "short": "Anna drinks tea",
    "long": TALK * 3,
    "accents": "Élodie préfère que l'on écrive « demain », pas « le lendemain », dans la réponse. " * 3,
    "a frame itself": codec().encode(TALK.encode() * 3),
    "nearly a frame": "Z5::2.0.aaaaaa." + TALK * 2,
    "signs": '\n\t\\" {}[] \u2028 😀' * 20,
}


def filled(lab):
    shard = lab.open()
    shard.put([lab.record(text, id=name) for name, text in SAID.items()])
    return shard


def everything(shard):
    return {name: shard._store.state.find("t", name) for name in SAID}


def on_disk(lab):
    return b"".join(path.read_bytes() for path in lab.folder.iterdir() if path.name.startswith("snapshot-"))


def test_texts_come_back_from_their_frames(lab):
    shard = filled(lab)
    before = everything(shard)
    shard.compact()
    assert TALK.encode() * 2 not in on_disk(lab)
    assert b"Z5::2." in on_disk(lab)
    for _ in range(2):
        shard = lab.reopen(shard)
        assert everything(shard) == before
        assert {name: shard.get("t", name).text for name in SAID} == SAID
        shard.compact()


def test_the_log_is_plain(lab):
    shard = filled(lab)
    log = b"".join(path.read_bytes() for path in lab.folder.iterdir() if path.name.startswith("log-"))
    assert TALK.encode() * 3 in log
    assert lab.reopen(shard).get("t", "long").text == SAID["long"]


def test_a_snapshot_of_the_first_form_still_opens(lab, monkeypatch):
    shard = filled(lab)
    before = everything(shard)
    with monkeypatch.context() as patch:
        patch.setattr(store, "framed_body", encode_body)
        shard.compact()
    assert TALK.encode() * 3 in on_disk(lab)
    shard = lab.reopen(shard)
    assert everything(shard) == before
    shard.compact()
    assert TALK.encode() * 3 not in on_disk(lab)
    assert everything(lab.reopen(shard)) == before


def test_a_frame_that_cannot_be_read_is_damage(lab, monkeypatch):
    shard = filled(lab)
    shard.compact()
    monkeypatch.setattr(records, "_frames", lambda: codec().__class__())
    with pytest.raises(StateDamaged):
        lab.reopen(shard)
