"""Process trees: started with a log, known to the last grandchild, gone when told."""

import os
import sys
import threading
from pathlib import Path

import psutil
import pytest

from benchmarks.serving.children import Child, StartFailed, free_port
from benchmarks.serving.first_token import wait_for_first_token
from benchmarks.serving.processes import cpu_seconds, pinned, usage

NOOP = Path(__file__).parents[2] / "benchmarks" / "serving" / "noop.py"
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("ready", flush=True)
time.sleep(600)
"""


def test_a_server_is_waited_for_and_stopped(tmp_path: Path) -> None:
    port = free_port()
    child = Child("noop", [sys.executable, str(NOOP), "--port", str(port)], {}, tmp_path)
    try:
        assert (
            wait_for_first_token(child, f"http://127.0.0.1:{port}/v1/chat/completions", "m", {}, 30.0) > 0
        )
        assert [use.pid for use in usage([child.pid])] == [child.pid]
    finally:
        child.stop()
    assert not psutil.pid_exists(child.pid)


def test_a_whole_tree_goes_however_stubborn(tmp_path: Path) -> None:
    child = Child("stubborn", [sys.executable, "-c", STUBBORN], {}, tmp_path)
    while "ready" not in child.tail():
        child.check()
    processes = child.processes()
    child.stop(polite_s=0.1)
    assert len(processes) == 2
    assert not any(process.is_running() for process in processes)


def test_one_that_ends_by_itself_shows_its_log(tmp_path: Path) -> None:
    child = Child("broken", [sys.executable, "-c", "raise SystemExit('port taken')"], {}, tmp_path)
    with pytest.raises(StartFailed, match="port taken"):
        wait_for_first_token(child, "http://127.0.0.1:1/v1", "m", {}, 30.0)
    child.stop()


def test_one_that_never_answers_has_a_deadline(tmp_path: Path) -> None:
    child = Child("mute", [sys.executable, "-c", "import time; time.sleep(600)"], {}, tmp_path)
    try:
        with pytest.raises(StartFailed, match=r"no token in 0\.2 s"):
            wait_for_first_token(child, f"http://127.0.0.1:{free_port()}/v1", "m", {}, 0.2)
    finally:
        child.stop(polite_s=1)


def test_cpu_time_of_the_living_only() -> None:
    assert cpu_seconds([os.getpid(), 2**22 + 1]).keys() == {os.getpid()}


def test_pinning_is_for_every_thread_and_undone_after() -> None:
    before = os.sched_getaffinity(0)
    one = {min(before)}
    seen: list[set[int]] = []
    go, stop = threading.Event(), threading.Event()

    def look() -> None:
        go.wait(10)
        seen.append(os.sched_getaffinity(0))
        stop.wait(10)

    thread = threading.Thread(target=look)
    thread.start()
    with pinned([os.getpid()], one, [], []):
        go.set()
        while not seen:
            pass
        assert os.sched_getaffinity(0) == one == seen[0]
    stop.set()
    thread.join(10)
    assert os.sched_getaffinity(0) == before
