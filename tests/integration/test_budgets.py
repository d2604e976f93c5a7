"""Budgets over real Ray calls, with the authority killed in the middle."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DRIVE = Path(__file__).with_name("budget_drive.py")
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "RAY_worker_niceness": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}


@pytest.mark.integration
def test_no_budget_is_exceeded_and_nothing_is_lost(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, DRIVE, tmp_path],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["ended"]["answered"] > 50
    assert told["ended"]["budget_exceeded"] >= 20
    assert told["told"].startswith("The budget of this ")
    assert "is left" in told["told"], "the authority's own words, not Ray's"
    assert told["most"]["key-a"] <= 0.30
    assert told["most"]["key-b"] <= 0.40
    assert told["most"][""] <= 0.50
    assert told["settled"] == told["paid"]
    assert set(told["reserved"].values()) == {0}
