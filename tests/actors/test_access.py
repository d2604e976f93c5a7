import time

import pytest

from actors.access import AccessAuthority
from zoran_ray.access import KeyStore


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    return path


async def test_keys_that_are_made_and_revoked_become_known(folder):
    authority = AccessAuthority(folder / "keys.sqlite")
    assert (await authority.keys()).version == 0
    store = KeyStore(folder / "keys.sqlite", time.time)
    store.create("alice")
    made = await authority.watch_keys(0, 30.0)
    assert [key.name for key in made.keys] == ["alice"]
    store.revoke("alice")
    revoked = await authority.watch_keys(made.version, 30.0)
    assert revoked.keys == ()


async def test_nothing_new_is_no_answer(folder):
    authority = AccessAuthority(folder / "keys.sqlite")
    assert await authority.watch_keys(0, 0.01) is None


async def test_a_damaged_file_changes_nobodys_keys(folder, caplog):
    file = folder / "keys.sqlite"
    KeyStore(file, time.time).create("alice")
    authority = AccessAuthority(file)
    before = await authority.keys()
    for each in folder.iterdir():
        each.write_bytes(b"not a database" * 1000)
    assert await authority.keys() == before
    assert "stay in force" in caplog.text
