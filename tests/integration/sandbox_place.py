"""A real Docker daemon for tests, and what they look at in it."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zoran_ray.errors import SandboxUnavailable
from zoran_ray.sandbox import Backend
from zoran_ray.sandbox.daemon import connected
from zoran_ray.sandbox.image import build
from zoran_ray.sandbox.labels import DEPLOYMENT, deployment_of

HOST_VARIABLE = "ZORAN_TEST_DOCKER_HOST"
"""Names a daemon that is not at the usual place."""


def host() -> str | None:
    """Where the tests' daemon listens."""
    return os.environ.get(HOST_VARIABLE)


def require_docker() -> None:
    """Skip, and say why, where no daemon answers."""
    try:
        with connected(host()):
            return
    except SandboxUnavailable as error:
        pytest.skip(f"NO DOCKER, so the sandbox is NOT tested: {error.message}")


def made(state_dir: Path) -> Backend:
    """A deployment of its own with the default image."""
    return Backend(deployment_of(state_dir), build(state_dir, host()).digest, host())


def containers(deployment: str) -> list[dict[str, Any]]:
    """Its containers, those that do not run included."""
    with connected(host()) as client:
        found: list[dict[str, Any]] = client.api.containers(
            all=True, filters={"label": f"{DEPLOYMENT}={deployment}"}
        )
        return found


def wait_until(holds: Callable[[], bool], within_s: float) -> bool:
    """Whether it comes to hold in time."""
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@contextlib.contextmanager
def nothing_left(deployment: str, within_s: float = 60.0) -> Iterator[None]:
    """Afterwards no container of the deployment is there."""
    yield
    assert wait_until(lambda: not containers(deployment), within_s), containers(deployment)
