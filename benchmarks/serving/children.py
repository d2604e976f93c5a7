"""One process tree we started: its output in a file, a deadline for everything, its end by process id."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from benchmarks.serving.processes import tree


class StartFailed(Exception):
    """A contender did not come up; says why and shows the end of its log."""


def free_port() -> int:
    """A loopback port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Child:
    """A process in a session of its own, and everything it starts.

    Args:
        name: For messages and the log's file name.
        argv: Command line.
        env: Added to our environment.
        logs: Folder that gets `<name>.log`.
    """

    def __init__(self, name: str, argv: Sequence[str], env: Mapping[str, str], logs: Path) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self.started_s = time.monotonic()
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                argv,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=logs,
            )
        self._seen: set[psutil.Process] = set()

    @property
    def pid(self) -> int:
        return self._process.pid

    def processes(self) -> list[psutil.Process]:
        """The whole tree as it is now."""
        living = tree(self.pid)
        self._seen.update(living)
        return living

    def check(self) -> None:
        """Raises: StartFailed: It has ended by itself."""
        if self._process.poll() is not None:
            raise StartFailed(f"{self.name} ended with {self._process.returncode}:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, polite_s: float = 60.0) -> None:
        """Ctrl-C, then SIGTERM, then SIGKILL to whatever of the tree is left. A process is told from a
        later one with the same id by its start time.
        """
        self.processes()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(polite_s)
            except subprocess.TimeoutExpired:
                self.processes()
        _, left = psutil.wait_procs([p for p in self._seen if p.is_running()], timeout=3)
        for process in left:
            _signal(process, signal.SIGTERM)
        _, left = psutil.wait_procs(left, timeout=5)
        for process in left:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(left, timeout=5)
        self._process.wait(5)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
