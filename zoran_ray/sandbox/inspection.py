"""Looks from inside a job whether the bounds hold: for `zoran sandbox check`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoran_ray.errors import SandboxUnavailable
from zoran_ray.sandbox.daemon import GVISOR, Backend, connected, require_controls
from zoran_ray.sandbox.job import Job, JobRequest

_LONGEST_S = 30.0
_SHOWN_BYTES = 300


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found.

    Attributes:
        daemon: Version of Docker.
        runtime: What runs the containers.
        image: Digest.
        swap_is_bounded: Whether the kernel can bound swap too.
        held: By name of a bound, whether it held in a job that tried it.
    """

    daemon: str
    runtime: str
    image: str
    swap_is_bounded: bool
    held: dict[str, bool]

    @property
    def is_good(self) -> bool:
        """Whether every bound held."""
        return all(self.held.values())


def inspect(backend: Backend) -> Inspection:
    """Ask the daemon, and run one job that tries what it must not be able to do.

    Raises:
        SandboxUnavailable: No daemon, no image, or one that has not what a sandbox needs.
    """
    with connected(backend.host) as client:
        info = client.info()
        require_controls(client, backend.runtime)
    return Inspection(
        str(info.get("ServerVersion", "")),
        backend.runtime or str(info.get("DefaultRuntime", "")),
        backend.image,
        bool(info.get("SwapLimit")),
        _tried(backend),
    )


def _tried(backend: Backend) -> dict[str, bool]:
    probe = Path(__file__).with_name("probe.py").read_bytes()
    result = Job(backend, JobRequest({"probe.py": probe}, ("python3", "probe.py"), _LONGEST_S)).run()
    try:
        told: dict[str, Any] = json.loads(result.stdout)
    except ValueError:
        said = (result.stderr or result.stdout)[-_SHOWN_BYTES:].decode(errors="replace").strip()
        raise SandboxUnavailable(
            f"The sandbox's image cannot run its own check ({result.ending}: {said}). It needs sh, tar, "
            "cat, timeout and python3."
        ) from None
    if backend.runtime == GVISOR:
        # It answers system calls itself, and does not tell of either.
        for name in ("system calls filtered", "no new privileges"):
            told.pop(name, None)
    return {name: value is True for name, value in told.items()}
