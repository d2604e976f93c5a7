import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import typer

from zoran_ray.access import SPEND_FILE, Reserve, Settle, SpendLedger
from zoran_ray.cli.keys import lifetime_s

KEY = re.compile(r"zk-[\w-]{20,}")


def test_a_key_is_shown_once(zoran: Any, state_dir: Path) -> None:
    made = zoran("keys", "create", "bob")
    assert made.exit_code == 0
    key = made.stdout.strip()
    assert KEY.fullmatch(key)
    assert "cannot be shown again" in made.stderr
    for args in (["keys", "list"], ["keys", "list", "--json"], ["keys", "revoke", "bob"]):
        assert key not in zoran(*args).output
    assert key.encode() not in (state_dir / "keys.sqlite").read_bytes()


def test_its_scope_is_kept(zoran: Any) -> None:
    made = json.loads(
        zoran(
            "keys", "create", "ci", "--model", "local/*", "--model", "zoran/auto",
            "--requests-per-min", "5", "--tokens-per-min", "900",
            "--expires", "2h", "--tenant", "team", "--json",
        ).stdout
    )  # fmt: skip
    assert KEY.fullmatch(made["key"])
    assert 7000 < made["expires"] - time.time() <= 7200
    (row,) = json.loads(zoran("keys", "list", "--json").stdout)["keys"]
    assert row["models"] == ["local/*", "zoran/auto"]
    assert (row["requests_per_min"], row["tokens_per_min"], row["tenant"], row["state"]) == (
        5,
        900,
        "team",
        "live",
    )
    assert row["key_id"] == made["key_id"]
    shown = zoran("keys", "list").stdout
    assert all(part in shown for part in ("ci", made["key_id"], "local/* zoran/auto", "900", "UTC"))


def test_budgets_and_what_was_spent_of_them(zoran: Any, state_dir: Path) -> None:
    made = json.loads(
        zoran("keys", "create", "ci", "--usd-per-day", "5", "--usd-per-request", "0.10", "--json").stdout
    )
    assert zoran("keys", "create", "free").exit_code == 0
    rows = json.loads(zoran("keys", "list", "--json").stdout)["keys"]
    assert [row["usd_spent_today"] for row in rows] == [None, None]
    ledger = SpendLedger(state_dir / SPEND_FILE, time.time)
    ledger.book(
        [
            Reserve("r", made["key_id"], 40_000_000, 60.0),
            Settle("r", 12_500_000),
            Reserve("s", made["key_id"], 1_000_000, 60.0),
        ]
    )
    ci, free = json.loads(zoran("keys", "list", "--json").stdout)["keys"]
    assert (ci["usd_per_day"], ci["usd_per_request"]) == (5.0, 0.1)
    assert (ci["usd_spent_today"], ci["usd_reserved"]) == (0.0125, 0.001)
    assert (free["usd_per_day"], free["usd_spent_today"], free["usd_reserved"]) == (None, 0.0, 0.0)
    shown = zoran("keys", "list").stdout
    assert all(part in shown for part in ("$5.00", "$0.10", "$0.0125", "no limit", "SPENT TODAY"))


def test_keys_are_listed_without_a_ledger_that_is_damaged(zoran: Any, state_dir: Path) -> None:
    assert zoran("keys", "create", "ci").exit_code == 0
    (state_dir / SPEND_FILE).touch(0o600)
    listed = zoran("keys", "list", "--json")
    assert listed.exit_code == 0
    assert json.loads(listed.stdout)["keys"][0]["usd_spent_today"] is None
    assert "What was spent is not known. The ledger of budgets" in listed.stderr


@pytest.mark.parametrize("flag", ["--usd-per-day", "--usd-per-request"])
@pytest.mark.parametrize(("amount", "status"), [("-1", 2), ("x", 2), ("nan", 2), ("inf", 3), ("1e9", 3)])
def test_budgets_that_are_none(zoran: Any, state_dir: Path, flag: str, amount: str, status: int) -> None:
    assert zoran("keys", "create", "ci", flag, amount).exit_code == status
    assert not (state_dir / "keys.sqlite").exists()


def test_revoking(zoran: Any) -> None:
    key_id = json.loads(zoran("keys", "create", "a", "--json").stdout)["key_id"]
    assert json.loads(zoran("keys", "revoke", key_id, "--json").stdout) == {"revoked": [key_id]}
    assert "revoked" in zoran("keys", "list").stdout
    again = zoran("keys", "revoke", "a")
    assert again.exit_code == 3
    assert "zoran keys list" in again.stderr


def test_mistakes(zoran: Any, state_dir: Path) -> None:
    assert zoran("keys", "create", "a").exit_code == 0
    assert zoran("keys", "create", "a").exit_code == 3
    assert zoran("keys", "create", "b", "--expires", "soon").exit_code == 2
    assert zoran("keys", "create", "b", "--requests-per-min", "0").exit_code == 2
    (state_dir / "keys.sqlite").chmod(0o644)
    open_file = zoran("keys", "list")
    assert open_file.exit_code == 3
    assert "chmod 600" in open_file.stderr


def test_lifetimes() -> None:
    assert [lifetime_s(text) for text in ("90m", "12h", "30d", "8w")] == [5400, 43200, 2592000, 4838400]
    for text in ("", "0d", "-1d", "1.5d", "30", "d", "1y"):
        with pytest.raises(typer.BadParameter):
            lifetime_s(text)


def test_another_state_directory(zoran: Any, tmp_path: Path) -> None:
    assert zoran("keys", "create", "a", "--state-dir", str(tmp_path / "other")).exit_code == 0
    assert (tmp_path / "other/keys.sqlite").exists()
    assert json.loads(zoran("keys", "list", "--json").stdout) == {"keys": []}
