import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import InvalidRequest
from zoran_ray.journal import Entry, Kind, blinded
from zoran_ray.journal.entry import BLINDED_FIELDS

TOKENS = st.text("abcXYZ019._:/+=-", max_size=160)
NAMES = st.from_regex(r"\A[a-z][a-z0-9_]{0,39}\Z").filter(lambda name: name not in BLINDED_FIELDS)
SCALARS = TOKENS | st.integers(-(2**53) + 1, 2**53 - 1) | st.booleans() | st.none()
ENTRIES = st.builds(
    Entry, st.sampled_from(Kind), st.integers(0, 2**53 - 1), st.dictionaries(NAMES, SCALARS, max_size=12)
)


@given(ENTRIES)
def test_one_way_to_write_each(entry: Entry) -> None:
    again = Entry.from_data(entry.data)
    assert (again, again.data) == (entry, entry.data)
    turned = Entry(entry.kind, entry.at_ms, dict(reversed(list(entry.meta.items()))))
    assert turned.data == entry.data
    body = {"at_ms": entry.at_ms, "kind": entry.kind.value, "meta": dict(entry.meta), "v": 1}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert entry.data == canonical.encode()
    assert pickle.loads(pickle.dumps(entry)).data == entry.data


def test_known_bytes() -> None:
    entry = Entry(Kind.TASK_TRANSITION, 5, {"to": "done", "from": "running", "tries": 2, "late": False})
    assert entry.data == (
        b'{"at_ms":5,"kind":"task.transition","meta":{"from":"running","late":false,"to":"done","tries":2},'
        b'"v":1}'
    )


SECRET = "Ada Lovelace <ada@example.org>"


@pytest.mark.parametrize(
    "meta",
    [
        {"note": SECRET},
        {"mail": "ada@example.org"},
        {"subject": "ada"},
        {"user": None},
        {"subject": "hmac-sha256:" + 63 * "0"},
        {"long": 161 * "x"},
        {"usd": 0.5},
        {"n": 2**53},
        {"list": ["a"]},
        {"map": {"a": 1}},
        {"bytes": b"x"},
        {"Upper": 1},
        {"": 1},
        {"line\n": 1},
        {"ok": "line\n"},
        {"é": 1},
        {7: 1},
        {f"f{number}": 1 for number in range(33)},
        {f"f{number}": 160 * "x" for number in range(32)},
    ],
)
def test_what_has_no_place_here(meta: dict[Any, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Entry(Kind.MEMORY_WRITE, 0, meta)
    assert not any(part in caught.value.message for part in ("Ada", "ada", "xxx"))


@pytest.mark.parametrize("at_ms", [-1, 1.5, True, 2**53, None, "now"])
def test_times_that_are_none(at_ms: Any) -> None:
    with pytest.raises(InvalidRequest, match="Unix milliseconds"):
        Entry(Kind.MEMORY_WRITE, at_ms, {})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"at_ms":0,"kind":"x","meta":{},"v":1}',
        b'{"at_ms":0,"kind":"memory.write","meta":{},"v":2}',
        b'{"at_ms": 0,"kind":"memory.write","meta":{},"v":1}',
        b'{"kind":"memory.write","at_ms":0,"meta":{},"v":1}',
        b'{"at_ms":0,"extra":1,"kind":"memory.write","meta":{},"v":1}',
        b'{"at_ms":0,"kind":"memory.write","meta":[],"v":1}',
        b'{"at_ms":0,"kind":["memory.write"],"meta":{},"v":1}',
        b"\xff",
    ],
)
def test_bytes_that_are_no_entry(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        Entry.from_data(data)


def test_a_person_is_a_keyed_hash() -> None:
    one, other = blinded("ada", b"k" * 16), blinded("ada", b"K" * 16)
    assert one == blinded("ada", b"k" * 16)
    assert one != other
    assert one != blinded("bob", b"k" * 16)
    assert Entry(Kind.MEMORY_ERASURE, 0, {"subject": one}).meta["subject"] == one
    with pytest.raises(ValueError, match="16 bytes"):
        blinded("ada", b"short")
