"""The `.env` that `docker-compose.yml` reads, from a profile. It names the secrets' folder, no secret."""

from pathlib import PurePosixPath

from zoran_ray.cluster_config.profile import ClusterProfile, Size, Workers

VARIABLES = (
    "COMPOSE_PROFILES",
    "ZORAN_IMAGE",
    "ZORAN_SECRETS",
    "ZORAN_BIND",
    "ZORAN_PORT",
    "ZORAN_GATEWAYS",
    "ZORAN_HEAD_CPUS",
    "ZORAN_HEAD_MEMORY",
    "ZORAN_CPU_WORKER_CPUS",
    "ZORAN_CPU_WORKER_MEMORY",
    "ZORAN_GPU_WORKER_CPUS",
    "ZORAN_GPU_WORKER_MEMORY",
    "ZORAN_GPU_WORKER_GPUS",
)
"""What `docker-compose.yml` reads, and nothing else."""


def compose_env(profile: ClusterProfile, secrets: PurePosixPath) -> str:
    """The file's text.

    Args:
        profile: Coherent for `compose`.
        secrets: Folder of the secrets' files on the host.
    """
    cpu = _worker(profile, gpus=False)
    gpu = _worker(profile, gpus=True)
    services = [
        *(["cpu"] if cpu else []),
        *(["gpu"] if gpu else []),
        *(["qdrant"] if profile.qdrant else []),
        *(["watch"] if profile.watch else []),
    ]
    values = (
        ",".join(services),
        profile.image.reference,
        str(secrets),
        profile.gateway.bind,
        profile.gateway.port,
        profile.gateway.replicas,
        *_size(profile.head),
        *_size(cpu or Size()),
        *_size(gpu or Size()),
        gpu.gpus if gpu else 1,
    )
    lines = [f"{name}={value}" for name, value in zip(VARIABLES, values, strict=True)]
    return "\n".join((f"# Rendered from the profile '{profile.name}'.", *lines, ""))


def _worker(profile: ClusterProfile, *, gpus: bool) -> Workers | None:
    return next((group for group in profile.workers if bool(group.gpus) is gpus and group.max), None)


def _size(size: Size) -> tuple[str, str]:
    return str(size.cpus), f"{size.memory_gib}g"
