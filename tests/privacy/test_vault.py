import pickle
import stat
from pathlib import Path

import pytest

from tests.clock import Clock
from zoran_ray.errors import ConfigError
from zoran_ray.privacy import KEY_FILE, VAULT_FILE, Keys, Vault, keys_in

VALUES = {"[EMAIL_aaaaaaaaaaaaaaaa]": "jean@example.fr", "[CARD_bbbbbbbbbbbbbbbb]": "4111\ud800"}
FIRST, SECOND = VALUES


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "privacy"


@pytest.fixture
def vault(folder: Path, clock: Clock) -> Vault:
    return Vault(folder / VAULT_FILE, keys_in(folder), clock, ttl_s=60.0, most_per_tenant=3)


def test_values_come_back_to_their_tenant_alone(vault: Vault) -> None:
    assert vault.get("acme", VALUES) == {}
    vault.put("acme", {})
    vault.put("acme", VALUES)
    assert vault.get("acme", [*VALUES, "[EMAIL_zzzzzzzzzzzzzzzz]"]) == VALUES
    assert vault.get("other", VALUES) == {}
    assert vault.get("", VALUES) == {}


def test_they_survive_a_restart(vault: Vault, folder: Path, clock: Clock) -> None:
    vault.put("acme", VALUES)
    vault.close()
    again = Vault(folder / VAULT_FILE, keys_in(folder), clock, ttl_s=60.0)
    assert again.get("acme", VALUES) == VALUES


def test_nothing_readable_is_on_disk(vault: Vault, folder: Path) -> None:
    vault.put("acme-tenant", VALUES)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        content = path.read_bytes()
        assert b"example" not in content
        assert b"acme" not in content


def test_values_expire_and_live_longer_when_seen_again(vault: Vault, clock: Clock) -> None:
    vault.put("acme", VALUES)
    clock.now += 50
    vault.put("acme", {FIRST: VALUES[FIRST]})
    clock.now += 20
    assert vault.get("acme", VALUES) == {FIRST: VALUES[FIRST]}
    assert (vault.sweep(), vault.sweep()) == (1, 0)
    clock.now -= 60  # a clock that goes backwards brings nothing back
    assert vault.get("acme", VALUES) == {FIRST: VALUES[FIRST]}


def test_a_tenant_is_bounded_and_loses_only_its_own(vault: Vault, clock: Clock) -> None:
    vault.put("other", VALUES)
    for number in range(5):
        clock.now += 1
        vault.put("acme", {f"[EMAIL_{'abcde'[number] * 16}]": str(number)})
    names = [f"[EMAIL_{letter * 16}]" for letter in "abcde"]
    assert sorted(vault.get("acme", names).values()) == ["2", "3", "4"]
    assert vault.get("other", VALUES) == VALUES


def test_forgetting(vault: Vault) -> None:
    assert (vault.forget("acme"), vault.sweep()) == (0, 0)
    vault.put("acme", VALUES)
    vault.put("other", VALUES)
    assert vault.forget("acme", [FIRST, FIRST]) == 1
    assert vault.get("acme", VALUES) == {SECOND: VALUES[SECOND]}
    assert vault.forget("acme") == 1
    assert vault.get("acme", VALUES) == {}
    assert vault.get("other", VALUES) == VALUES


def test_many_at_once(folder: Path, clock: Clock) -> None:
    vault = Vault(folder / VAULT_FILE, keys_in(folder), clock, ttl_s=60.0)
    many = {f"[EMAIL_{number:016d}]": str(number) for number in range(1501)}
    vault.put("acme", many)
    assert vault.get("acme", many) == many


def test_another_key_opens_nothing(vault: Vault, folder: Path, clock: Clock) -> None:
    vault.put("acme", VALUES)
    vault.close()
    stranger = Vault(folder / VAULT_FILE, Keys(b"x" * 32), clock, ttl_s=60.0)
    assert stranger.get("acme", VALUES) == {}  # not even whose they are


def test_a_row_that_was_changed_or_moved_does_not_open(vault: Vault, folder: Path) -> None:
    import sqlite3
    from contextlib import closing

    vault.put("acme", VALUES)
    vault.close()
    with closing(sqlite3.connect(folder / VAULT_FILE)) as db:
        (sealed,) = db.execute("SELECT sealed FROM vault WHERE placeholder = ?", (SECOND,)).fetchone()
        db.execute("UPDATE vault SET sealed = ? WHERE placeholder = ?", (sealed, FIRST))
        db.execute("UPDATE vault SET sealed = x'00' WHERE placeholder = ?", (SECOND,))
        db.commit()
    for name in VALUES:
        with pytest.raises(ConfigError, match="does not open") as wrong:
            vault.get("acme", [name])
        assert "example" not in wrong.value.message


def test_a_lost_key_is_not_replaced(vault: Vault, folder: Path) -> None:
    vault.put("acme", VALUES)
    (folder / KEY_FILE).unlink()
    with pytest.raises(ConfigError, match="restore it"):
        keys_in(folder)


def test_a_damaged_or_open_key_is_refused(folder: Path) -> None:
    assert keys_in(folder).naming == keys_in(folder).naming
    path = folder / KEY_FILE
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        keys_in(folder)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(ConfigError, match="damaged"):
        keys_in(folder)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        keys_in(tmp_path / "file" / "privacy")


def test_keys_show_themselves_to_nobody() -> None:
    keys = Keys(b"x" * 32)
    assert keys.naming not in repr(keys).encode()
    assert keys.naming != keys.sealing[:32]
    with pytest.raises(TypeError):
        pickle.dumps(keys)
    with pytest.raises(ConfigError):
        Keys(b"short")
