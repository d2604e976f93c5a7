"""Cleans up after an engine, however its process ended. Runs as a process of its own.

vLLM's children usually notice that their parent is gone, but nobody unlinks their shared memory, and
after SIGKILL nobody could. This process holds the read end of a pipe; when the engine's process ends,
for whatever reason, the pipe ends too. Then the children get a moment, are killed if they stay, and
their shared memory is unlinked unless somebody else has it mapped.

Standard library only: it is run by path, with `python -S -E`, and stays small.
"""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_SEGMENT = re.compile(r"/dev/shm/(?:psm_|sem\.)\S+$")  # noqa: S108
_LOADING_S = 120.0
_SCAN_LOADING_S = 1.0
_SCAN_SERVING_S = 10.0
_MOURNING_S = 2.0
_STEP_S = 0.05


def watch_over(pid: int) -> "subprocess.Popen[bytes]":
    """Start an undertaker for process `pid`, which must be the caller; keep the result alive."""
    return subprocess.Popen(
        [sys.executable, "-S", "-E", __file__, str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=True,
    )


def _start_time(pid: int) -> str | None:
    """When a process began, in the kernel's own units; None if it has gone or only awaits its parent."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found |= {child} | _descendants(child)
    return found


def _segments(pid: int) -> set[str]:
    """Named shared memory a process has mapped."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return set()
    return {match[0] for line in lines if (match := _SEGMENT.search(line))}


def _bury(children: dict[int, str], segments: set[str]) -> None:
    deadline = time.monotonic() + _MOURNING_S
    alive = set(children)
    while alive and time.monotonic() < deadline:
        time.sleep(_STEP_S)
        alive = {pid for pid in alive if _start_time(pid) == children[pid]}
    for pid in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if alive:
        time.sleep(_STEP_S)
    others = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    in_use = set().union(*(_segments(pid) for pid in others))
    for segment in segments - in_use:
        with contextlib.suppress(OSError):
            Path(segment).unlink()
    # A semaphore is mapped under a name it no longer has; joblib's carry the pid of their maker.
    for pid in children:
        for semaphore in Path("/dev/shm").glob(f"sem.loky-{pid}-*"):  # noqa: S108
            with contextlib.suppress(OSError):
                semaphore.unlink()


def main(pid: int) -> None:
    """Watch process `pid` until standard input ends, then clean up."""
    # Ray kills the children of a worker that ends; this process must outlive it.
    if os.fork():
        return
    os.setsid()
    children: dict[int, str] = {}
    segments: set[str] = set()
    started = time.monotonic()
    ended: list[int] = []
    while not ended:
        for child in _descendants(pid) - {os.getpid()}:
            if began := _start_time(child):
                children[child] = began
                segments |= _segments(child)
        segments |= _segments(pid)
        loading = time.monotonic() - started < _LOADING_S
        ended = select.select([0], [], [], _SCAN_LOADING_S if loading else _SCAN_SERVING_S)[0]
    _bury(children, segments)


if __name__ == "__main__":
    main(int(sys.argv[1]))
