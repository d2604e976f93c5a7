"""What a killed engine leaves behind is cleaned up by the process that watched it."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="NOT RUN: processes and /dev/shm are Linux's"
)

ENGINE = """
import os, subprocess, sys, time
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from zoran_ray.engines.vllm.undertaker import watch_over

keep = watch_over(os.getpid())
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
memory = SharedMemory(create=True, size=4096)
semaphore = Path(f"/dev/shm/sem.loky-{child.pid}-test")
semaphore.touch()
print(child.pid, memory.name, flush=True)
time.sleep(600)
"""


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "not within 30 s"
        time.sleep(0.05)


def test_a_killed_engine_leaves_nothing() -> None:
    engine = subprocess.Popen([sys.executable, "-c", ENGINE], stdout=subprocess.PIPE, text=True)
    assert engine.stdout is not None
    pid, name = engine.stdout.readline().split()
    time.sleep(2.5)  # it looks once a second
    engine.kill()
    engine.wait(30)
    engine.stdout.close()
    until(lambda: not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == "zombie")
    until(lambda: not Path(f"/dev/shm/{name}").exists())
    until(lambda: not Path(f"/dev/shm/sem.loky-{pid}-test").exists())
