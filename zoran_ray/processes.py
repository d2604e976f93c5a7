"""The processes and ports of this machine, as the operator's process needs to know them."""

import contextlib
import socket
from pathlib import Path
from typing import Any

import psutil

from zoran_ray.errors import ConfigError

_KILL_S = 3.0


def require_free(host: str, port: int) -> None:
    """Raises: ConfigError if something listens there already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as taken:
            raise ConfigError(
                f"cannot listen on {host}:{port}: {taken.strerror}. Choose another with --port, "
                "or see who has it: ss -ltnp.",
                param="server.port",
            ) from None


def descendants() -> list[psutil.Process]:
    """Every process that this one started, and those they started."""
    try:
        return psutil.Process().children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def role(process: psutil.Process) -> str:
    """What a process does, by the title it gave itself."""
    with contextlib.suppress(psutil.Error, IndexError):
        words = process.cmdline()[0].split()
        return Path(words[0]).name if words else process.name()
    return "unknown"


def process_row(process: psutil.Process) -> dict[str, Any] | None:
    """Role, pid and `rss_bytes` of a process; None if it has gone."""
    try:
        return {"role": role(process), "pid": process.pid, "rss_bytes": process.memory_info().rss}
    except psutil.Error:
        return None


def end(processes: list[psutil.Process]) -> None:
    """Ask processes to end, then kill those that stay."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, stubborn = psutil.wait_procs(processes, timeout=_KILL_S)
    for process in stubborn:
        with contextlib.suppress(psutil.Error):
            process.kill()
