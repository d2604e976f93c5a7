"""What the values of a filled-in `.env` must look like, and which of them contradict one another. Pure."""

import re
from collections.abc import Mapping
from ipaddress import ip_address

SERVICES = ("cpu", "gpu", "qdrant", "watch")
"""What `COMPOSE_PROFILES` may name."""
_ALWAYS = ("ray_token", "redis_password")
_FOR_WATCHING = ("metrics_key", "grafana_password")
_WHOLE = {"ZORAN_PORT": (1, 65535), "ZORAN_GATEWAYS": (1, 64), "ZORAN_GPU_WORKER_GPUS": (1, 64)}


def value_problem(name: str, value: str) -> str | None:
    """What is wrong with one value, in a sentence; None if nothing is. Quotes no value."""
    if name in _WHOLE:
        least, most = _WHOLE[name]
        fits = re.fullmatch(r"[0-9]{1,6}", value) and least <= int(value) <= most
        return None if fits else f"{name} is no whole number from {least} to {most}."
    if name.endswith("_CPUS"):
        fits = re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", value) and float(value) > 0
        return None if fits else f"{name} is no number of cores, such as 4 or 0.5."
    if name.endswith("_MEMORY"):
        return (
            None if re.fullmatch(r"[1-9][0-9]*[kmg]", value) else f"{name} is no size, such as 8g or 512m."
        )
    if name == "ZORAN_BIND":
        return None if _is_address(value) else f"{name} is no address of this host, such as 127.0.0.1."
    if name == "COMPOSE_PROFILES" and (strange := _services(value).difference(SERVICES)):
        return f"{name} names {len(strange)} that there are not; there are {', '.join(SERVICES)}."
    return None


def env_contradictions(values: Mapping[str, str]) -> tuple[str, ...]:
    """Values that cannot both be meant, one sentence each with its fix."""
    with_gpus = "gpu" in _services(values.get("COMPOSE_PROFILES", ""))
    if with_gpus and values.get("ZORAN_IMAGE", "").endswith("-cpu"):
        return (
            "COMPOSE_PROFILES and ZORAN_IMAGE: the CPU image cannot use the worker's GPUs. Name one of "
            "the target gpu, or take gpu out.",
        )
    return ()


def secrets_needed(values: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the files that the services in `COMPOSE_PROFILES` read."""
    watched = "watch" in _services(values.get("COMPOSE_PROFILES", ""))
    return (*_ALWAYS, *(_FOR_WATCHING if watched else ()))


def _services(value: str) -> set[str]:
    return {each.strip() for each in value.split(",")} - {""}


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True
