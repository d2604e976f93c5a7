"""Runs one of the `*_drive.py` scripts: a Ray cluster of its own, in a process that ends with it."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "RAY_worker_niceness": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}
ENDS_WITHIN_S = 240


def driven(script: str, *arguments: Path) -> dict[str, Any]:
    """What the script tells in its last line, as JSON. It must succeed."""
    done = subprocess.run(
        [sys.executable, HERE / script, *arguments],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
