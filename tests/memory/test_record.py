import json
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import BodyTooLarge, InvalidRequest, StateDamaged
from zoran_ray.memory.record import (
    MOST_TEXT_BYTES,
    Layer,
    Provenance,
    Record,
    Sensitivity,
    as_json,
    decode,
    decode_body,
    embedding_bytes,
    encode,
    encode_body,
    framed_body,
    new_id,
)
from zoran_ray.memory.z5 import codec

names = st.text(st.characters(exclude_categories=["Cs", "Cc"], codec="utf-8"), min_size=1, max_size=30)
times = st.floats(0, 2**39, allow_nan=False)
vectors = st.lists(st.floats(-100, 100, width=32), max_size=8).filter(
    lambda v: not v or sum(x * x for x in v) > 1e-6
)


@st.composite
def records(draw):
    return Record(
        draw(names),
        draw(names),
        draw(names),
        draw(st.text(st.characters(exclude_categories=["Cs"]))),
        draw(names),
        draw(times),
        draw(st.sampled_from(Layer)),
        embedding_bytes(draw(vectors)),
        draw(names),
        draw(names),
        draw(st.none() | times),
        draw(names),
        tuple(draw(st.lists(names, max_size=3))),
        draw(st.booleans()),
        draw(st.sampled_from(Sensitivity)),
        Provenance(draw(names), draw(st.none() | st.integers(0, 2**40))),
        draw(st.none() | times),
    )


@given(records())
def test_a_record_comes_back_from_its_bytes(record):
    assert decode(encode(record)) == record
    assert pickle.loads(pickle.dumps(record)) == record


@given(records(), st.sampled_from(["", "Z5::", "Z5::2.0.aaaaaa.", "é", "\0"]), st.integers(0, 400))
def test_a_record_comes_back_from_its_framed_bytes(record, begin, repeated):
    longer = replace(record, text=begin + record.text + "what was said, " * (repeated // 10))
    body = framed_body(longer)
    assert len(body) <= len(encode_body(longer))
    assert decode(encode(longer, body)) == longer


def test_a_text_is_framed_where_that_is_shorter():
    talk = (
        "Anna asked whether the train to Lyon leaves at nine, and what it costs to take the bicycle too. "
    )
    for text, form in ((talk * 3, 2), ("Anna drinks tea", 1), (codec().encode(talk.encode() * 3), 1)):
        assert json.loads(framed_body(record(text=text)))[0] == form
        assert json.loads(encode_body(record(text=text)))[0] == 1
    with pytest.raises(StateDamaged):
        decode_body(framed_body(record(text=talk * 3)).replace(b"Z5::2", b"Z5::3"))
    with pytest.raises(StateDamaged):
        decode_body(encode_body(record(text=talk)).replace(b"[1,", b"[2,"))
    with pytest.raises(StateDamaged, match="Update"):
        decode_body(encode_body(record(text=talk)).replace(b"[1,", b"[3,"))


def test_bytes_of_the_first_form_are_still_read():
    body = (
        b'[1,"r","t","s","Z5::no frame","p",1.0,"long","user:anna","",null,"",[],false,"none","",null,null]'
    )
    assert decode_body(body) == record(text="Z5::no frame", layer=Layer.LONG, source="user:anna")
    assert encode_body(decode_body(body)) == body


@given(records(), st.data())
def test_a_record_that_was_cut_is_damaged(record, data):
    whole = encode(record)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(StateDamaged):
        decode(whole[:cut])


def record(**changes):
    fields = {"id": "r", "tenant": "t", "subject": "s", "text": "hello", "purpose": "p", "created": 1.0}
    return Record(**{**fields, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"tenant": None},
        {"subject": "x" * 201},
        {"purpose": "a\nb"},
        {"source": "\x00"},
        {"subject": "\ud800"},
        {"text": "\udfff"},
        {"text": b"bytes"},
        {"created": math.nan},
        {"created": -1.0},
        {"created": True},
        {"expires": math.inf},
        {"expires": "tomorrow"},
        {"layer": "long"},
        {"sensitivity": "none"},
        {"corroborated": ("s",) * 17},
        {"embedding": b"123"},
        {"embedding": [1.0]},
        {"embedding": np.array([math.nan], "<f4").tobytes()},
        {"embedding": np.array([math.inf], "<f4").tobytes()},
        {"embedding": np.array([3e38, 3e38], "<f4").tobytes()},
        {"embedding": np.zeros(4, "<f4").tobytes()},
        {"embedding": np.ones(8193, "<f4").tobytes()},
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_records_that_are_none(changes):
    with pytest.raises(InvalidRequest):
        record(**changes)


@pytest.mark.parametrize("vector", ["text", [[1.0]], [None, "a"], 3.0])
def test_vectors_that_are_none(vector):
    with pytest.raises(InvalidRequest):
        embedding_bytes(vector)


def test_text_is_bounded_in_bytes():
    record(text="é" * (MOST_TEXT_BYTES // 2))
    with pytest.raises(BodyTooLarge):
        record(text="é" * (MOST_TEXT_BYTES // 2 + 1))


def test_a_repr_tells_no_secret():
    shown = repr(record(text="my pin", subject="anna", source="user:anna", conversation="about anna"))
    assert "pin" not in shown
    assert "anna" not in shown


def test_an_export_has_every_field_but_the_vector():
    found = as_json(record(layer=Layer.LONG, embedding=embedding_bytes([1.0])))
    assert set(found) == set(Record.__slots__) - {"embedding"}
    assert found["layer"] == "long"


def test_new_ids_differ():
    assert len({new_id() for _ in range(100)}) == 100


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"[2]", b"[1,2]", b'["x"]'])
def test_bodies_that_are_none(body):
    with pytest.raises(StateDamaged):
        decode(len(body).to_bytes(4, "little") + bytes(4) + body)
