"""Names in the journal: hidden under keys, and saying nothing once the keys are gone."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoran_ray.access.private_db import PrivateDatabase
from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.journal import SALTS_FILE, Event, Kind, Salts, blinded, entry_of, token
from zoran_ray.journal.salts import SCHEMA

MakeSalts = Callable[..., Salts]

NAMES = st.tuples(st.sampled_from(["", "a", "ab", "b"]), st.sampled_from([None, "", "a", "lovelace", "ba"]))
"""Few, and such that a tenant's end could be a subject's beginning."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def make_salts(folder: Path) -> MakeSalts:
    def make(name: str = SALTS_FILE, **options: Any) -> Salts:
        database = PrivateDatabase(folder / name, SCHEMA, "The file", "begin anew", keep_open=True)
        return Salts(database, **options)

    return make


@pytest.fixture
def salts(make_salts: MakeSalts) -> Any:
    made = make_salts()
    yield made
    made.close()


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_names_become_keyed_hashes(salts: Salts) -> None:
    entry = entry_of(Event(Kind.MEMORY_WRITE, {"records": 2}, "acme", "lovelace"), salts, 7)
    keys = salts.of([("acme", None), ("acme", "lovelace")])
    assert entry.at_ms == 7
    assert entry.meta == {
        "records": 2,
        "tenant": blinded("acme", keys["acme", None]),
        "subject": blinded("lovelace", keys["acme", "lovelace"]),
    }
    assert b"lovelace" not in entry.data
    assert (
        entry_of(Event(Kind.MEMORY_WRITE, {"records": 2}, "acme", "lovelace", at_ms=7), salts, 8) == entry
    )


def test_an_event_of_nobody_needs_no_key(salts: Salts, folder: Path) -> None:
    assert entry_of(Event(Kind.ROUTING_DECISION, {"arm": "local/m"}), salts, 7).meta == {"arm": "local/m"}
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"meta": {"subject": "lovelace"}},
        {"meta": {"tenant": "hmac-sha256:" + 64 * "0"}},
        {"tenant": 257 * "x"},
        {"subject": None},
        {"subject": "\ud800"},
        {"meta": {"text": "a sentence"}},
        {"at_ms": -1},
    ],
)
def test_what_is_no_event(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Event(Kind.MEMORY_WRITE, **fields)
    assert "lovelace" not in caught.value.message


def test_details_that_leave_no_room_for_names(salts: Salts) -> None:
    event = Event(Kind.MEMORY_WRITE, {f"n{number}": number for number in range(32)}, "acme", "lovelace")
    with pytest.raises(InvalidRequest, match="32 fields"):
        entry_of(event, salts, 7)


def test_an_event_travels_and_does_not_show_whom_it_is_about() -> None:
    event = Event(Kind.MEMORY_ERASURE, {"n": 1}, "acme", "lovelace")
    assert pickle.loads(pickle.dumps(event)) == event
    assert "lovelace" not in repr(event)


def test_a_token_or_nothing() -> None:
    assert token("req-1.a:b/c") == "req-1.a:b/c"
    assert token("ada@example.org") is None
    assert token("a b") is None
    assert token(161 * "x") is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.booleans(), st.lists(NAMES, min_size=1, max_size=4)), max_size=12))
def test_keys_stay_until_they_are_forgotten(
    make_salts: MakeSalts, folder: Path, steps: list[tuple[bool, list[tuple[str, str | None]]]]
) -> None:
    """Each name has one key of its own; a forgotten one never comes back and is in no file."""
    for path in folder.iterdir():
        path.unlink()
    known: dict[tuple[str, str | None], bytes] = {}
    gone: set[bytes] = set()
    for forgetting, names in steps:
        # A new object knows only the file; a small cache mostly the file.
        salts = make_salts(most_cached=2)
        if forgetting:
            tenant, subject = names[0]
            salts.forget(tenant, subject)
            over = [name for name in known if name[0] == tenant and subject in (None, name[1])]
            gone |= {known.pop(name) for name in over}
            assert not any(key in on_disk(folder) for key in gone)
            assert salts.known(tenant, subject) is None
        else:
            found = salts.of(names)
            assert found == {name: known.get(name, found[name]) for name in names}
            known |= found
        salts.close()
    assert len(set(known.values()) | gone) == len(known) + len(gone)
    again = make_salts()
    assert all(again.known(*name) == key for name, key in known.items())
    again.close()


def test_forgetting_makes_hashes_unlinkable(salts: Salts) -> None:
    event = Event(Kind.MEMORY_WRITE, {}, "acme", "lovelace")
    before = entry_of(event, salts, 1).meta
    salts.forget("acme", "lovelace")
    after = entry_of(event, salts, 1).meta
    assert after["subject"] != before["subject"]
    assert after["tenant"] == before["tenant"]
    salts.forget("acme")
    last = entry_of(event, salts, 1).meta
    assert not {last["subject"], last["tenant"]} & {*before.values(), *after.values()}


def test_no_name_is_in_the_file(salts: Salts, folder: Path) -> None:
    salts.of([("acme-industries", None), ("acme-industries", "ada-lovelace")])
    salts.close()
    assert b"acme" not in on_disk(folder)
    assert b"lovelace" not in on_disk(folder)


def test_new_keys_are_on_disk_before_anybody_uses_them(make_salts: MakeSalts) -> None:
    first = make_salts()
    made = first.of([("t", "s")])
    other = make_salts()
    assert other.known("t", "s") == made["t", "s"]
    first.close()
    other.close()


def test_a_damaged_file_is_told(make_salts: MakeSalts, folder: Path) -> None:
    (folder / SALTS_FILE).write_bytes(b"no database" * 1000)
    (folder / SALTS_FILE).chmod(0o600)
    with pytest.raises(ConfigError):
        make_salts().of([("t", None)])
