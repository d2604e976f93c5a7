"""A local Ray cluster of our own, or a connection to one that runs; nothing here knows Serve apps."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

import psutil

from actors.names import (
    ACCESS,
    AGENT_SUPERVISOR,
    AUTOPILOT,
    BATCH,
    JOURNAL,
    MEMORY,
    NAMESPACE,
    REGISTRY,
    RESONATOR,
)  # fmt: skip
from zoran_ray.access import Budget
from zoran_ray.memory.rules import rules_of
from zoran_ray.settings import Settings

_LEAST_LOGICAL_CPUS = 4
_CONTROL_CALLS = 1000
_START_S = 60


def start_ray(settings: Settings, run_dir: Path) -> None:
    """Start or join Ray; `actors.environment` has prepared this process."""
    import ray

    from actors.sandbox import SLOT

    empty = run_dir / "cwd"
    empty.mkdir(exist_ok=True)
    shared: dict[str, Any] = {
        "namespace": NAMESPACE,
        "log_to_driver": False,
        "logging_level": "ERROR",
        # Ray would put the driver's folder on every worker's path, and a file there named like one of
        # our packages would shadow it.
        "runtime_env": {"working_dir": str(empty)},
    }
    if settings.cluster.address:
        ray.init(address=settings.cluster.address, **shared)
        return
    cpus = settings.cluster.num_cpus or max(_LEAST_LOGICAL_CPUS, psutil.cpu_count() or 1)
    ray.init(
        num_cpus=cpus,
        num_gpus=settings.cluster.num_gpus,
        object_store_memory=settings.cluster.object_store_bytes,
        resources={SLOT: settings.sandbox.slots},
        include_dashboard=False,
        **shared,
    )


def start_control_plane(settings: Settings) -> None:
    """Start the named actors on the head node without waiting for them.

    Ray restarts them for as long as this driver lives.
    """
    import ray

    from actors.access import AccessAuthority
    from actors.autopilot import AutopilotWorker
    from actors.batch import BatchWorker
    from actors.journal import JournalWriter
    from actors.memory import MemoryDirector
    from actors.registry import ReplicaRegistry
    from actors.resonator import ResonatorActor

    if settings.cluster.address:
        _end_agents()  # of a driver before, with its settings
    registry = ray.remote(ReplicaRegistry).options(**_on_head(REGISTRY)).remote()
    authority = ray.remote(AccessAuthority).options(**_on_head(ACCESS))
    budget = Budget.of_usd(settings.budget.usd_per_day, settings.budget.usd_per_request)
    access = authority.remote(settings.state_dir / "keys.sqlite", budget)
    journal = ray.remote(JournalWriter).options(**_on_head(JOURNAL)).remote(settings.state_dir)
    router = ray.remote(ResonatorActor).options(**_on_head(RESONATOR))
    resonator = router.remote(settings.state_dir, settings.routing, journal=settings.journal)
    director = ray.remote(MemoryDirector).options(**_on_head(MEMORY))
    memory = director.remote(settings.state_dir, settings.memory, rules_of(settings.memory_file))
    memory.resume.remote()
    worker = ray.remote(BatchWorker).options(**_on_head(BATCH))
    batch = worker.remote(settings.state_dir, settings.server.request_timeout_s)
    tasks = ray.remote(AutopilotWorker).options(**_on_head(AUTOPILOT)).remote(settings)
    _kept.extend((registry, access, resonator, journal, memory, batch, tasks))


def _on_head(name: str) -> dict[str, Any]:
    """Options of an actor that is there once, on the head node, and is started again whenever it ends."""
    return {
        "name": name,
        "namespace": NAMESPACE,
        "num_cpus": 0,
        "max_restarts": -1,
        "max_concurrency": _CONTROL_CALLS,
        "resources": {"node:__internal_head__": 0.001},
    }


def await_control_plane() -> None:
    """Return once every named actor that a request may need answers; routing can wait a moment."""
    import ray

    registry, access, *_ = _kept
    ray.get([registry.fleet.remote(), access.keys.remote()], timeout=_START_S)


# An actor lives as long as somebody holds a handle to it.
_kept: list[Any] = []


def _end_agents() -> None:
    """The roles' supervisor outlives gateways, and would outlive us in a cluster that was joined."""
    import ray
    from ray.exceptions import RayError

    if ray.is_initialized():  # otherwise it would be started for the question
        with contextlib.suppress(ValueError, RayError):
            ray.kill(ray.get_actor(AGENT_SUPERVISOR, namespace=NAMESPACE))


def stop_ray(run_dir: Path) -> None:
    """End every process of a local cluster, or leave a joined one."""
    import ray

    _kept.clear()
    _end_agents()
    ray.shutdown()
    shutil.rmtree(run_dir, ignore_errors=True)
