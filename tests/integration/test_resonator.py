"""The Resonator as a Ray actor whose process is killed: what it has acknowledged it still knows."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DRIVE = Path(__file__).with_name("resonator_drive.py")
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "RAY_worker_niceness": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}


@pytest.mark.integration
def test_kill_9_loses_nothing_that_was_acknowledged() -> None:
    done = subprocess.run(
        [sys.executable, DRIVE],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["lost"] == []
    assert told["twice"] == 0
    assert told["kills"] == 3
    assert told["epochs"] == 2, "a new life, and everything learned again in it"
    assert told["outcomes"] == told["acknowledged"] + 1
    assert told["requests"] == told["acknowledged"] == 600
    assert told["scores"] == ["counted", "duplicate"]
    assert sorted(told["snapshot"]) == ["local/large", "local/small"]
