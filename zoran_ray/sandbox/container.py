"""What is asked of Docker for each job: every bound at once, and nothing of the host."""

import shlex
from typing import Any

from zoran_ray.sandbox.daemon import Backend
from zoran_ray.sandbox.labels import Labels
from zoran_ray.sandbox.limits import Limits

WORK = "/work"
RUN_AS = "65534:65534"
_KEEP_AS = "65533:65533"
"""Who the first process is: another one than the job, which therefore cannot end or change it."""

_NO_LOG = {"Type": "none"}


def container_config(api: Any, backend: Backend, limits: Limits, labels: Labels, lease_s: float) -> Any:
    """The body of Docker's call that makes the container.

    The first process ends by itself after `lease_s`, and at once when its input ends: Docker closes the
    input when whoever is attached to it is gone, however that came about.

    Args:
        api: A `docker.APIClient`, which knows how to write the body.
        backend: The image and the runtime.
        limits: The job's.
        labels: Whose it is.
        lease_s: Longest life, in seconds.
    """
    return api.create_container_config(
        backend.image,
        ["timeout", "-s", "KILL", str(max(1, round(lease_s))), "cat"],
        user=_KEEP_AS,
        hostname="sandbox",
        stdin_open=True,
        working_dir=WORK,
        environment=dict(limits.environment),
        labels=labels.as_docker(),
        entrypoint=[],
        healthcheck={"test": ["NONE"]},
        host_config=_host_config(api, backend, limits),
    )


def _host_config(api: Any, backend: Backend, limits: Limits) -> Any:
    ulimits = {
        "nofile": limits.open_files,
        "core": 0,
        "fsize": limits.file_bytes,
        "memlock": 0,
        "msgqueue": 0,
    }
    uid, gid = RUN_AS.split(":")
    config = api.create_host_config(
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        ipc_mode="private",
        init=True,
        auto_remove=True,
        pids_limit=limits.processes,
        mem_limit=limits.memory_bytes,
        memswap_limit=limits.memory_bytes,  # both together, so no swap
        nano_cpus=round(limits.cpus * 1e9),
        shm_size=1024 * 1024,
        ulimits=[{"Name": name, "Soft": value, "Hard": value} for name, value in ulimits.items()],
        log_config=_NO_LOG,
        tmpfs={
            WORK: f"rw,exec,nosuid,nodev,size={limits.work_bytes},mode=0700,uid={uid},gid={gid}",
            "/tmp": f"rw,noexec,nosuid,nodev,size={limits.tmp_bytes},mode=1777",  # noqa: S108
        },
    )
    if backend.runtime is not None:
        config["Runtime"] = backend.runtime
    return config


def receive_command() -> list[str]:
    """Unpacks what it reads into the working folder."""
    return ["tar", "-x", "-f", "-", "-C", WORK, "--no-same-owner"]


def send_command() -> list[str]:
    """Ends whatever the job left running, then packs the working folder."""
    tar = shlex.join(["tar", "-c", "-f", "-", "-C", WORK, "."])
    return ["sh", "-c", f"kill -9 -1 2>/dev/null; exec {tar} 2>/dev/null"]
