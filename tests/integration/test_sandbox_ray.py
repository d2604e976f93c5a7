"""Sandbox jobs as Ray tasks on a cluster of their own, with a real Docker daemon."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.sandbox_place import containers, made, nothing_left, require_docker, wait_until
from zoran_ray.errors import InvalidRequest, SandboxUnavailable
from zoran_ray.sandbox import Backend, Limits
from zoran_ray.sandbox.container import container_config
from zoran_ray.sandbox.daemon import connected
from zoran_ray.sandbox.labels import Labels

pytestmark = [pytest.mark.docker, pytest.mark.integration]


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A local cluster with two slots."""
    require_docker()
    import ray

    place = made(tmp_path_factory.mktemp("sandbox"))
    ray.init(num_cpus=2, resources={"docker_slot": 2}, include_dashboard=False, log_to_driver=False)
    try:
        with nothing_left(place.deployment):
            yield place
    finally:
        ray.shutdown()


async def test_jobs_are_tasks_bound_by_slots(backend: Backend) -> None:
    from actors.sandbox import RaySandbox

    sandbox = RaySandbox(backend)
    jobs = [sandbox.run({"n": str(n).encode()}, ["cat", "n"], timeout_s=30.0) for n in range(8)]
    assert [one.stdout for one in await asyncio.gather(*jobs)] == [str(n).encode() for n in range(8)]
    with pytest.raises(InvalidRequest):
        await sandbox.run({"../x": b""}, ["true"], timeout_s=1.0)


async def test_a_cancelled_job_takes_its_container_with_it(backend: Backend) -> None:
    from actors.sandbox import RaySandbox

    task = asyncio.create_task(RaySandbox(backend).run({}, ["sleep", "600"], timeout_s=100.0))

    def runs() -> bool:
        return any(one["State"] == "running" for one in containers(backend.deployment))

    assert await asyncio.to_thread(wait_until, runs, 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(wait_until, lambda: not containers(backend.deployment), 60)


async def test_the_reaper_of_a_node_removes_what_is_left(backend: Backend) -> None:
    from actors.sandbox import SLOT
    from actors.sandbox_reaper import Reapers

    now = time.time()
    labels = Labels(backend.deployment, "orphan", now - 60, now + 600)
    with connected(backend.host) as client:
        config = container_config(client.api, backend, Limits(), labels, 600.0)
        client.api.create_container_from_config(config)
    reapers = Reapers(backend)
    reapers.ensure(SLOT)
    assert await asyncio.to_thread(wait_until, lambda: not containers(backend.deployment), 60)
    assert await reapers.removed() >= 1


async def test_without_a_daemon_a_job_says_so(backend: Backend, tmp_path: Path) -> None:
    from actors.sandbox import RaySandbox

    nowhere = Backend(backend.deployment, backend.image, f"unix://{tmp_path}/none.sock")
    with pytest.raises(SandboxUnavailable, match=r"none\.sock"):
        await RaySandbox(nowhere).run({}, ["true"], timeout_s=1.0)
