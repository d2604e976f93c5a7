import time

import pytest

from actors.access import AccessAuthority
from zoran_ray.access import SPEND_FILE, Budget, KeyStore, Reserve, Settle, Spent
from zoran_ray.errors import BudgetExceeded, ConfigError


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


async def test_money_is_on_disk_before_it_answers(folder):
    def made():
        return AccessAuthority(folder / "keys.sqlite", Budget(per_day=100))

    first = made()
    await first.reserve(Reserve("a", "k", 60, 60.0))
    await first.settle((Settle("a", 25), Settle("never heard of", 5)))
    await first.reserve(Reserve("b", "k", 40, 60.0, Budget(per_day=65)))
    second = made()
    assert await second.spent() == await second.spent("k") == Spent(25, 40)
    with pytest.raises(BudgetExceeded, match="this API key"):
        await second.reserve(Reserve("c", "k", 1, 60.0, Budget(per_day=65)))
    with pytest.raises(BudgetExceeded, match="this deployment"):
        await second.reserve(Reserve("c", "l", 36, 60.0))
    await second.settle((Settle("b", 40),))
    assert await first.spent("k") == Spent(65, 0)


async def test_a_damaged_ledger_lets_nobody_spend_and_the_operator_hears_of_it_once(folder, caplog):
    authority = AccessAuthority(folder / "keys.sqlite")
    (folder / SPEND_FILE).touch(0o600)
    for _ in range(3):
        with pytest.raises(ConfigError, match="damaged"):
            await authority.reserve(Reserve("a", "k", 1, 60.0))
        with pytest.raises(ConfigError, match="damaged"):
            await authority.settle((Settle("a", 1),))
    (line,) = caplog.messages
    assert "paid requests are refused" in line
    assert "mv " in line
