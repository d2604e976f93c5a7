"""Finds a Docker daemon that can hold a job in, or says what was tried."""

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from zoran_ray.errors import SandboxUnavailable

_ANSWER_S = 60.0
"""Longest that the daemon may take for one call. It makes a container in a fifth of a second when idle."""

_CONTROLS = {
    "MemoryLimit": "a memory limit",
    "PidsLimit": "a limit of processes",
    "CpuCfsQuota": "a CPU limit",
}
GVISOR = "runsc"


@dataclass(frozen=True, slots=True)
class Backend:
    """Which daemon, and what it runs for whom.

    Attributes:
        deployment: Name that all containers carry; see `deployment_of`.
        image: Digest of the image: `sha256:…`, or `name@sha256:…`.
        host: Address of the daemon; None: the usual sockets of this machine.
        runtime: `runsc` for gVisor; None: the daemon's own.
    """

    deployment: str
    image: str
    host: str | None = None
    runtime: str | None = None


def usual_hosts() -> tuple[str, ...]:
    """Sockets where a daemon of this machine listens: the system's, and one without root's rights."""
    return "unix:///var/run/docker.sock", f"unix:///run/user/{os.getuid()}/docker.sock"


@contextlib.contextmanager
def connected(host: str | None) -> Iterator[Any]:
    """A `docker.DockerClient` for a daemon that answers.

    Raises:
        SandboxUnavailable: There is none.
    """
    client = _client(host)
    try:
        yield client
    finally:
        client.close()


def _client(host: str | None) -> Any:
    try:
        import docker
        from docker.errors import DockerException
    except ImportError:
        raise SandboxUnavailable(
            "Code cannot be run: the package docker is not installed. Install 'zoran_ray[all]'."
        ) from None
    tried = []
    for url in (host,) if host else usual_hosts():
        try:
            _knock(url)
            # The version is asked for here, so a client that is made has had an answer.
            return docker.DockerClient(base_url=url, version="auto", timeout=_ANSWER_S)
        except (DockerException, OSError, ValueError) as error:
            tried.append(f"{url} ({_reason(error)})")
    raise SandboxUnavailable(
        f"Code cannot be run: no Docker daemon answers at {' or '.join(tried)}. Start one, or name its "
        "address with sandbox.docker_host. `zoran sandbox check` tells more."
    )


def _knock(url: str) -> None:
    """Try a socket: the SDK leaves its own open where nobody listens. Raises: OSError: Nobody does."""
    path = url.removeprefix("unix://")
    if path != url:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_S)
            connection.connect(path)


def _reason(error: BaseException) -> str:
    """The innermost cause in few words."""
    text = str(error)
    for known in ("No such file or directory", "Permission denied", "Connection refused", "timed out"):
        if known in text:
            return known
    return type(error).__name__


def missing_controls(info: dict[str, Any], runtime: str | None) -> list[str]:
    """What this daemon cannot do and a job must not be without.

    Args:
        info: What the daemon tells of itself.
        runtime: As in `Backend`.
    """
    missing = [what for key, what in _CONTROLS.items() if not info.get(key)]
    seccomp = any("name=seccomp" in str(option) for option in info.get("SecurityOptions") or ())
    # gVisor answers system calls itself and needs no filter for them.
    if not seccomp and runtime != GVISOR:
        missing.append("a filter of system calls (seccomp)")
    if runtime is not None and runtime not in (info.get("Runtimes") or {}):
        missing.append(f"the runtime {runtime}")
    return missing


def require_controls(client: Any, runtime: str | None) -> None:
    """Refuse a daemon that could not hold a job in.

    Raises:
        SandboxUnavailable: It says what is missing.
    """
    if missing := missing_controls(client.info(), runtime):
        raise SandboxUnavailable(
            f"Code cannot be run: this Docker daemon has not {', '.join(missing)}. Use another daemon, or "
            "mend its set-up; see `zoran sandbox check`."
        )
