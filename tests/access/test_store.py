import os
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.clock import Clock
from zoran_ray.access import KeyRing, KeyStore
from zoran_ray.errors import ConfigError
from zoran_ray.messages import KeyInfo, KeySnapshot


@pytest.fixture
def clock():
    return Clock(1000.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "keys.sqlite"


@pytest.fixture
def store(path, clock):
    return KeyStore(path, clock)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_created_key_opens_the_ring_and_is_nowhere_on_disk(store, path, clock):
    info, secret = store.create(
        "ci", models=["local/*", "a"], requests_per_min=60, tokens_per_min=1000, expires=2000.0, tenant="t"
    )
    snapshot = store.snapshot()
    assert snapshot == KeySnapshot(version=1, keys=(info,))
    assert KeyRing(snapshot, clock).authenticate(f"Bearer {secret}") == info
    assert (info.models, info.requests_per_min, info.tokens_per_min) == (("local/*", "a"), 60, 1000)
    assert (info.expires, info.tenant) == (2000.0, "t")
    assert secret.startswith("zk-")
    assert len(secret) >= 46
    for file in path.parent.iterdir():
        assert secret[3:].encode() not in file.read_bytes()


def test_budgets_are_kept_as_they_were_written(store):
    a, _ = store.create("a", usd_per_day=5, usd_per_request=0.1)
    b, _ = store.create("b", usd_per_day=0)
    assert store.snapshot().keys == (a, b)
    found = [(key.usd_per_day, key.usd_per_request) for key in store.snapshot().keys]
    assert found == [(5.0, 0.1), (0.0, None)]


VERSION_1 = """
CREATE TABLE keys (
    key_id TEXT PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL UNIQUE,
    models TEXT NOT NULL, requests_per_min INTEGER, tokens_per_min INTEGER, expires REAL,
    tenant TEXT NOT NULL, created REAL NOT NULL, revoked REAL
) STRICT;
CREATE TABLE version (only INTEGER PRIMARY KEY CHECK (only = 1), version INTEGER NOT NULL) STRICT;
INSERT INTO version VALUES (1, 3);
INSERT INTO keys VALUES
    ('key-a', 'a', 'da', 'local/* b', 5, NULL, 2000.0, 't', 900.0, NULL),
    ('key-b', 'b', 'db', '', NULL, 7, NULL, '', 901.0, 950.0);
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""


@pytest.mark.parametrize("first", ["snapshot", "list", "create", "revoke"])
def test_a_store_made_before_there_were_budgets_goes_on_working(store, path, first):
    path.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(VERSION_1)
    path.chmod(0o600)
    if first in ("snapshot", "list"):
        getattr(store, first)()
    elif first == "create":
        store.create("c", usd_per_day=5)
    else:
        store.revoke("a")
    rows = {row.info.name: row for row in store.list()}
    assert rows["a"].info == KeyInfo(
        "key-a", "a", "da", models=("local/*", "b"), requests_per_min=5, expires=2000.0, tenant="t"
    )
    assert (rows["b"].state, rows["b"].revoked, rows["b"].info.tokens_per_min) == ("revoked", 950.0, 7)
    assert store.snapshot().version == (3 if first in ("snapshot", "list") else 4)
    d, _ = store.create("d", usd_per_request=0.5)
    assert store.list()[-1].info == d


def test_files_are_private_and_nothing_else_is_left(store, path):
    old = os.umask(0)
    try:
        store.create("ci")
        with store._db.write():
            assert mode(path.parent) == 0o700
            assert {p.name for p in path.parent.iterdir()} >= {path.name}
            assert all(mode(p) == 0o600 for p in path.parent.iterdir())
    finally:
        os.umask(old)
    assert {p.name for p in path.parent.iterdir()} <= {path.name, f"{path.name}-wal", f"{path.name}-shm"}


def test_reading_makes_no_file(store, path):
    assert store.snapshot() == KeySnapshot()
    assert store.list() == ()
    with pytest.raises(ConfigError):
        store.revoke("ci")
    assert not path.parent.exists()


def test_list_tells_states(store, clock):
    store.create("a")
    store.create("b", expires=1500.0)
    c, _ = store.create("c")
    store.revoke("a")
    (revoked,) = store.revoke(c.key_id)
    assert (revoked.info, revoked.state, revoked.revoked) == (c, "revoked", 1000.0)
    clock.now = 1500.0
    assert [(r.info.name, r.state, r.created) for r in store.list()] == [
        ("a", "revoked", 1000.0),
        ("b", "expired", 1000.0),
        ("c", "revoked", 1000.0),
    ]


def test_version_grows_with_every_write_and_never_returns_to_open(store, clock):
    versions = [store.snapshot().version]
    store.create("a")
    versions.append(store.snapshot().version)
    store.create("b", expires=1100.0)
    versions.append(store.snapshot().version)
    store.revoke("a")
    versions.append(store.snapshot().version)
    clock.now = 1100.0
    assert versions == [0, 1, 2, 3]
    assert store.snapshot() == KeySnapshot(version=3)
    assert not KeyRing(store.snapshot(), clock).open


def test_a_live_name_is_taken_and_a_dead_one_is_free(store, clock):
    store.create("a", expires=1100.0)
    with pytest.raises(ConfigError, match="zoran keys revoke a"):
        store.create("a")
    clock.now = 1100.0
    store.create("a")
    assert len(store.revoke("a")) == 2
    with pytest.raises(ConfigError, match="zoran keys list"):
        store.revoke("a")
    store.create("a")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a b"),
        ("name", "x" * 65),
        ("name", "key-1"),
        ("name", "a\n"),
        ("models", ("",)),
        ("models", ("a b",)),
        ("models", ("x",) * 65),
        ("requests_per_min", 0),
        ("requests_per_min", True),
        ("tokens_per_min", -1),
        ("tokens_per_min", 10**13),
        ("expires", 1000.0),
        ("expires", float("nan")),
        ("tenant", "a/b"),
        ("usd_per_day", -1.0),
        ("usd_per_day", True),
        ("usd_per_day", "5"),
        ("usd_per_request", float("nan")),
        ("usd_per_request", float("inf")),
        ("usd_per_request", 1e9),
    ],
)
def test_wrong_arguments_are_named(store, path, field, value):
    with pytest.raises(ConfigError, match=field) as refused:
        store.create(**({"name": "ci"} | {field: value}))
    assert refused.value.param == field
    assert not path.exists()


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o622])
def test_refuses_a_file_open_to_others(store, path, bits):
    store.create("a")
    path.chmod(bits)
    for use in (store.snapshot, store.list, lambda: store.create("b"), lambda: store.revoke("a")):
        with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
            use()


def test_refuses_a_folder_open_to_others(store, path):
    store.create("a")
    path.parent.chmod(0o755)
    for use in (store.snapshot, lambda: store.create("b")):
        with pytest.raises(ConfigError, match=f"chmod 700 {path.parent}"):
            use()


@pytest.mark.parametrize(
    "content", [b"", b"not a database at all" * 200, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_damaged_file_is_never_an_open_door(store, path, content):
    store.create("a")
    path.write_bytes(content)
    for use in (store.snapshot, store.list, lambda: store.create("b"), lambda: store.revoke("a")):
        with pytest.raises(ConfigError, match=r"damaged.*mv "):
            use()


def test_damage_inside_the_file_is_told(store, path):
    for i in range(50):
        store.create(f"a{i}")
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xaa" * (len(whole) - 4096))
    with pytest.raises(ConfigError, match="damaged"):
        store.snapshot()


def test_what_is_not_a_file_is_told(store, path):
    path.mkdir(parents=True, mode=0o700)
    path.parent.chmod(0o700)
    for use in (store.snapshot, lambda: store.create("b")):
        with pytest.raises(ConfigError, match="cannot be used"):
            use()


def test_a_newer_file_is_left_alone(store, path):
    store.create("a")
    with store._db.write() as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(ConfigError, match="newer"):
        store.snapshot()


def test_names_are_never_sql(store):
    store.create("a")
    with pytest.raises(ConfigError):
        store.revoke("' OR 1=1 --")
    assert [row.state for row in store.list()] == ["live"]


CREATE_TEN = """
import sys, time
from pathlib import Path
from zoran_ray.access.store import KeyStore
store = KeyStore(Path(sys.argv[1]), time.time)
for i in range(10):
    store.create(f"{sys.argv[2]}-{i}")
"""


def test_several_processes_create_while_another_reads(store, path):
    root = Path(__file__).parents[2]
    writers = [
        subprocess.Popen([sys.executable, "-c", CREATE_TEN, str(path), name], cwd=root)
        for name in ("x", "y", "z")
    ]
    seen = []
    while any(writer.poll() is None for writer in writers):
        snapshot = store.snapshot()
        assert len(snapshot.keys) == snapshot.version
        seen.append(snapshot.version)
        time.sleep(0.01)
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert seen == sorted(seen)
    assert len({key.digest for key in store.snapshot().keys}) == 30
    assert store.snapshot().version == 30
