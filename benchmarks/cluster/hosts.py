"""Faults of a cluster of several hosts: runs the tests that make them, and takes the figures they leave.

The hosts, the load on them and the accounts are those of `tests/cluster_hosts`; nothing is measured here.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.readme import ROOT

TESTS = "tests/cluster_hosts"
LINES = "ZORAN_FAULTS_FILE"
"""Variable with the file that every fault appends a line to."""
_KINDS = {"faults": "fault", "measured": "measured"}
"""Kinds of lines, by the field that each has."""
_ENDS_WITHIN_S = 3_600


def measure(tests: str = TESTS) -> dict[str, Any]:
    """Runs them all.

    Returns:
        `faults` and `measured`: their lines; `tests`: pytest's last line; or `left_out` with the reason.
    """
    if os.geteuid() != 0:
        return {"left_out": "hosts in network namespaces need root"}
    if not (ROOT / tests).is_dir():
        return {"left_out": f"there is no {tests}"}
    with tempfile.TemporaryDirectory(prefix="zh-") as folder:
        lines = Path(folder) / "faults.jsonl"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-m", "hosts", "-p", "no:cacheprovider", tests],
            env={**os.environ, LINES: str(lines)},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            timeout=_ENDS_WITHIN_S,
            check=False,
        )
        said = done.stdout.splitlines() or [f"pytest ended with {done.returncode}"]
        found = read(lines)
    if not found["faults"]:
        return {"left_out": f"no test told of a fault; pytest's last line: {said[-1]}"}
    return {**found, "tests": said[-1].strip("= ")}


def read(lines: Path) -> dict[str, Any]:
    """What a file holds: `faults`, and other figures as `measured`; nothing where there is no file."""
    found = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
    return {name: [each for each in found if key in each] for name, key in _KINDS.items()}
