"""Runs one of the `*_drive.py` scripts: a Ray cluster of its own, in a process that ends with it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.own_ray import own_ray

HERE = Path(__file__).parent
ENDS_WITHIN_S = 240


def driven(script: str, *arguments: Path) -> dict[str, Any]:
    """What the script tells in its last line, as JSON. It must succeed."""
    done = subprocess.run(
        [sys.executable, HERE / script, *arguments],
        env={**os.environ, **own_ray()},
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
