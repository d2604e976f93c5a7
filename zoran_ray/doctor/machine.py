"""Checks of the machine: memory, shared memory, Docker."""

import shutil
from pathlib import Path

import httpx
import psutil

from zoran_ray.doctor.check import Check, Subject
from zoran_ray.engines.static import is_static
from zoran_ray.engines.vllm import installed_build

GIB = 2**30
GPU_UTILIZATION = "gpu_memory_utilization"
OUR_CPU_UTILIZATION = 0.3
"""What the engine room asks for on CPU when a model says nothing (vLLM itself would want 0.92)."""
DOCKER_TIMEOUT_S = 3.0


def memory(subject: Subject) -> Check:
    """Room for the engines: on CPU, vLLM wants a share of the whole machine's memory free."""
    total, available = memory_bytes(Path("/sys/fs/cgroup"))
    found = f"{available / GIB:.1f} of {total / GIB:.1f} GiB free"
    build = installed_build()
    if build is None or build.device == "gpu":
        return Check("memory", "ok", found)
    wanted = {
        spec.name: float(spec.engine_args.get(GPU_UTILIZATION, OUR_CPU_UTILIZATION))
        for spec in subject.models
        if not is_static(spec)
    }
    share = sum(wanted.values())
    shares = ", ".join(f"{name} {part:.0%}" for name, part in wanted.items())
    if share * total <= available:
        return Check("memory", "ok", found)
    return Check(
        "memory",
        "fail",
        f"{found}; the models want {share:.0%} of all: {shares}",
        f"Lower {GPU_UTILIZATION} in their engine_args, or free memory.",
    )


def memory_bytes(cgroup: Path) -> tuple[int, int]:
    """Total and available memory in bytes, as far as this container may use it."""
    machine = psutil.virtual_memory()
    try:
        limit = int((cgroup / "memory.max").read_text())
        used = int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):  # no cgroup, or "max"
        return machine.total, machine.available
    return min(machine.total, limit), min(machine.available, max(limit - used, 0))


def shared_memory(subject: Subject) -> Check:
    """`/dev/shm` holds Ray's object store."""
    if subject.settings.cluster.address:
        return Check("shared memory", "skip", "the cluster's own matter")
    path = Path("/dev/shm")  # noqa: S108 - the device itself, nothing is written
    if not path.is_dir():
        return Check("shared memory", "skip", "this system has no /dev/shm")
    free, wanted = shutil.disk_usage(path).free, subject.settings.cluster.object_store_bytes
    found = f"{free / 2**20:,.0f} MiB free in /dev/shm"
    if free >= wanted:
        return Check("shared memory", "ok", found)
    return Check(
        "shared memory",
        "warn",
        f"{found}, {wanted / 2**20:,.0f} MiB wanted",
        "Give the container more (docker run --shm-size=1g), or lower cluster.object_store_bytes.",
    )


def docker(subject: Subject) -> Check:
    """The Docker daemon, which only sandboxed jobs need."""
    host = subject.env.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    scheme, _, path = host.partition("://")
    uds = path if scheme == "unix" else None
    url = "http://docker/_ping" if uds else f"http://{path}/_ping"
    todo = "Only sandboxed jobs need it. Start the daemon, and give this user access to its socket."
    if uds and not Path(uds).exists():
        return Check("docker", "warn", f"no socket at {uds}", todo)
    try:
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=uds), timeout=DOCKER_TIMEOUT_S, trust_env=False
        ) as client:
            answer = client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return Check("docker", "warn", f"{host} does not answer: {error}", todo)
    if answer.is_success:
        return Check("docker", "ok", f"the daemon answers at {host}")
    return Check("docker", "warn", f"{host} answers with status {answer.status_code}", todo)
