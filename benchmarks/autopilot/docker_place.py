"""A Docker daemon and the default image for a run: the daemon that answers, or one started for it."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.readme import ROOT
from zoran_ray.errors import ConfigError, SandboxUnavailable
from zoran_ray.sandbox import Backend
from zoran_ray.sandbox.daemon import connected
from zoran_ray.sandbox.image import build
from zoran_ray.sandbox.labels import DEPLOYMENT, deployment_of

_SCRIPT = ROOT / "scripts" / "dockerd.sh"
_START_S = 700.0


@contextmanager
def docker_place() -> Iterator[Backend | str]:
    """A deployment of its own with the default image, or why there is none."""
    with tempfile.TemporaryDirectory(prefix="zoran-docker-") as folder:
        refusal = _started(Path(folder))
        try:
            yield refusal or _made(Path(folder))
        finally:
            subprocess.run((_SCRIPT, folder, "stop"), timeout=60, check=False)


def containers(backend: Backend) -> list[dict[str, Any]]:
    """The deployment's containers, those that do not run included."""
    with connected(backend.host) as client:
        wanted = {"label": f"{DEPLOYMENT}={backend.deployment}"}
        found: list[dict[str, Any]] = client.api.containers(all=True, filters=wanted)
        return found


def _started(folder: Path) -> str:
    """Why no daemon can be had; empty if one answers."""
    try:
        done = subprocess.run(
            (_SCRIPT, folder), timeout=_START_S, check=False, stderr=subprocess.PIPE, text=True
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no Docker daemon can be started ({type(error).__name__})"
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def _made(folder: Path) -> Backend | str:
    state = folder / "state"
    try:
        return Backend(deployment_of(state), build(state, None).digest)
    except (SandboxUnavailable, ConfigError) as error:
        return error.message
