"""The real policy, in a real Serve controller, on a Ray cluster whose nodes come and go."""

import json
import os
import secrets
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DRIVE = Path(__file__).with_name("autoscaling_drive.py")
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "RAY_worker_niceness": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}


@pytest.mark.integration
def test_one_to_many_to_zero_and_back() -> None:
    done = subprocess.run(
        [sys.executable, DRIVE],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    seen: list[int] = told["seen"]
    peak, zero = seen.index(3), seen.index(0, 1)
    assert told["most"] == 3, "never more than the GPUs the cluster can have"
    assert all(b > a for a, b in pairwise(seen[: peak + 1]))
    assert all(b < a for a, b in pairwise(seen[peak : zero + 1]))
    assert 1 in seen[peak:zero], "through one, where it stays until it has been idle for long"
    assert seen[zero:] == [0, 1]
    assert told["answer"] == "answered"
