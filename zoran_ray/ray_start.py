"""The commands and variables with which a node starts Ray. Pure; `zoran_ray.cli.node` runs them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zoran_ray.errors import ConfigError

GCS_PORT = 6379
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)):([0-9]{1,5})")
_RECONNECT_S = 600


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Host and port of something that listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def endpoint(text: str) -> Endpoint:
    """`text` as host and port.

    Raises:
        ConfigError: It is not written as `host:port`.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match[4]) < 65536:
        raise ConfigError("This is not an address as `head.internal:6379`: give a host and a port.")
    return Endpoint(match[1] or match[2], int(match[4]))


@dataclass(frozen=True, slots=True)
class NodeSize:
    """What a node tells Ray that it has; None: what Ray finds."""

    cpus: int | None
    gpus: int | None
    object_store_bytes: int


def head_argv(python: str, port: int, size: NodeSize, autoscaling_config: Path | None) -> list[str]:
    """Starts the head and stays."""
    found = [*_ray(python), "--head", f"--port={port}", "--include-dashboard=false", *_size(size)]
    return found + ([f"--autoscaling-config={autoscaling_config}"] if autoscaling_config else [])


def join_argv(python: str, head: Endpoint, size: NodeSize) -> list[str]:
    """Joins the head's cluster and stays."""
    return [*_ray(python), f"--address={head}", *_size(size)]


def node_variables(
    given: Mapping[str, str], ours: Mapping[str, str], token_file: Path, redis: Endpoint | None = None
) -> dict[str, str]:
    """The environment of a node's Ray.

    Args:
        given: What this process was given.
        ours: What zoran sets on every node.
        token_file: File with the cluster's token.
        redis: What the head's GCS is kept in; None: its memory alone.
    """
    # A token in a variable wins over the file, and would be seen by everything that runs here.
    found = {name: value for name, value in given.items() if name != "RAY_AUTH_TOKEN"} | dict(ours)
    found |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file),
        "RAY_gcs_rpc_server_reconnect_timeout_s": str(_RECONNECT_S),
    }
    return found | ({"RAY_REDIS_ADDRESS": str(redis)} if redis else {})


def _ray(python: str) -> list[str]:
    return [python, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]


def _size(size: NodeSize) -> list[str]:
    found = [f"--object-store-memory={size.object_store_bytes}"]
    if size.cpus is not None:
        found.append(f"--num-cpus={size.cpus}")
    if size.gpus is not None:
        found.append(f"--num-gpus={size.gpus}")
    return found
