import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from serve_apps.gateway import privacy_vault
from serve_apps.gateway.privacy_vault import NodeVault
from zoran_ray.errors import Overloaded, Unavailable
from zoran_ray.privacy import KEY_FILE, VAULT_FILE
from zoran_ray.settings import PrivacySettings

VALUES = {"[EMAIL_aaaaaaaaaaaaaaaa]": "jean.canary@example.fr"}
(NAME,) = VALUES


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[NodeVault]:
    vault = NodeVault(PrivacySettings(vault_ttl_s=60), tmp_path / "privacy")
    yield vault
    vault.close()


async def test_it_is_made_with_its_first_use(vault: NodeVault, tmp_path: Path) -> None:
    assert not (tmp_path / "privacy").exists()
    assert await vault.get("acme", []) == {}
    await vault.put("acme", {})
    assert not (tmp_path / "privacy").exists()
    key = await vault.naming_key()
    await vault.put("acme", VALUES)
    assert await vault.get("acme", VALUES) == VALUES
    assert (vault.value("acme", NAME), vault.value("other", NAME)) == (VALUES[NAME], None)
    again = NodeVault(PrivacySettings(), tmp_path / "privacy")
    assert await again.naming_key() == key
    assert await again.get("acme", VALUES) == VALUES
    again.close()


async def test_trouble_is_one_error_and_a_line_for_the_operator(
    vault: NodeVault, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await vault.put("acme", VALUES)
    (tmp_path / "privacy" / VAULT_FILE).chmod(0o644)
    with caplog.at_level(logging.ERROR), pytest.raises(Unavailable, match="nothing was sent") as failed:
        await vault.put("acme", VALUES)
    assert "chmod" in caplog.text
    assert "canary" not in caplog.text + repr(failed.value)
    assert failed.value.__cause__ is None


async def test_a_lost_key_is_not_made_anew(vault: NodeVault, tmp_path: Path) -> None:
    await vault.put("acme", VALUES)
    (tmp_path / "privacy" / KEY_FILE).unlink()
    again = NodeVault(PrivacySettings(), tmp_path / "privacy")
    with pytest.raises(Unavailable):
        await again.naming_key()
    again.close()


async def test_the_queue_is_bounded(vault: NodeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy_vault, "MOST_WAITING", 2)
    told = await asyncio.gather(*(vault.put("acme", VALUES) for _ in range(4)), return_exceptions=True)
    assert [type(each) for each in told] == [type(None)] * 2 + [Overloaded] * 2
    await vault.put("acme", VALUES)


async def test_expired_values_of_those_who_stay_away_go(vault: NodeVault, tmp_path: Path) -> None:
    await vault.put("acme", VALUES)
    with closing(sqlite3.connect(tmp_path / "privacy" / VAULT_FILE)) as db:
        db.execute("UPDATE vault SET expires = 0")
        db.commit()
    sweeping = asyncio.create_task(vault.keep_swept())
    async with asyncio.timeout(10):
        while _rows(tmp_path / "privacy" / VAULT_FILE):
            await asyncio.sleep(0.01)
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)


def _rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT count(*) FROM vault").fetchone()[0])
