"""Jobs whose clients are killed at any moment: which containers are left behind?

python -m benchmarks.autopilot.containers DEPLOYMENT IMAGE     a client that is about to be killed
"""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.autopilot.docker_place import containers
from zoran_ray.sandbox import Backend, Job, JobRequest, Limits, reap

JOBS = 100
AT_ONCE = 4
WAIT_S = 60.0
"""After the last kill; longer than that no container may be there."""
_REAP_EVERY_S = 10.0
"""As often as the reaper of a node."""
_JOB_S = 600.0
_KILLED_WITHIN_S = 4.0
"""From a client's start: so some die before their container is made, most while it is or while it runs."""


def measure(backend: Backend, jobs: int = JOBS, seed: int = 6) -> dict[str, Any]:
    """Counts containers after every client was killed; the reaper looks as often as a node's does."""
    rng = random.Random(seed)
    most, began = 0, time.monotonic()
    for start in range(0, jobs, AT_ONCE):
        clients = [_client(backend) for _ in range(min(AT_ONCE, jobs - start))]
        most += _killed(backend, clients, rng)
    gone_s, left = _emptied(backend)
    return {
        "jobs": jobs, "killed_while_running": most, "wait_s": WAIT_S, "left": left,
        "gone_s": gone_s, "wall_s": round(time.monotonic() - began, 1),
    }  # fmt: skip


def _client(backend: Backend) -> subprocess.Popen[bytes]:
    words = ("-m", "benchmarks.autopilot.containers", backend.deployment, backend.image)
    return subprocess.Popen((sys.executable, *words), stderr=subprocess.DEVNULL)


def _killed(backend: Backend, clients: Sequence[subprocess.Popen[bytes]], rng: random.Random) -> int:
    """Kills each at a moment of its own. Returns: Containers that ran before the last kill."""
    moments = sorted(rng.uniform(0, _KILLED_WITHIN_S) for _ in clients)
    began, seen = time.monotonic(), set[str]()
    for moment, client in zip(moments, clients, strict=True):
        time.sleep(max(0.0, began + moment - time.monotonic()))
        seen |= {one["Id"] for one in containers(backend) if one["State"] == "running"}
        client.send_signal(signal.SIGKILL)
        client.wait()
    return len(seen)


def _emptied(backend: Backend) -> tuple[float, int]:
    """Seconds until no container was there, and how many still were when the time was over."""
    began = looked = time.monotonic()
    while containers(backend) and time.monotonic() - began < WAIT_S:
        if time.monotonic() - looked >= _REAP_EVERY_S:
            reap(backend.host, backend.deployment, time.time())
            looked = time.monotonic()
        time.sleep(0.1)
    return round(time.monotonic() - began, 1), len(containers(backend))


if __name__ == "__main__":
    Job(
        Backend(sys.argv[1], sys.argv[2]),
        JobRequest({"a.py": b"x = 1\n"}, ("sleep", str(_JOB_S)), _JOB_S, Limits(timeout_s=_JOB_S)),
    ).run()
