"""What one `configs/profiles/*.yaml` holds: machines, sizes, and names of secrets. Frozen values.

What contradicts itself across fields is told by `checks`, all at once and with the fix; here stand the
types alone.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from zoran_ray.config.document import read_document
from zoran_ray.config.validation import validated
from zoran_ray.offers import Frozen

_MOST_PLAUSIBLE_NAME = 40
_RANDOM = re.compile(r"(?:[0-9a-f]{24,}|(?=[a-z0-9]*[0-9][a-z]+[0-9])[a-z0-9]{24,})")


def _names_a_secret(value: str) -> str:
    # Never quotes the value: it may be the secret.
    if len(value) > _MOST_PLAUSIBLE_NAME or _RANDOM.fullmatch(value.replace("-", "")):
        raise ValueError(
            "this looks like the secret itself. Write the name of the Kubernetes Secret that holds it"
        )
    return value


SecretName = Annotated[
    str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$"), AfterValidator(_names_a_secret)
]
"""Name of a Kubernetes Secret (an RFC 1123 label)."""
Label = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$")]
ImageName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9._/:-]{0,253}[a-z0-9])?$")]
Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Address = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$")]
"""A host name or an IPv4 address, without a port."""
Account = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]


class Image(Frozen):
    """The image that every node runs (`cluster/docker/Dockerfile`)."""

    name: ImageName = "zoran"
    """With its registry, where it has one."""
    tag: Tag = "0.1.0-cpu"
    digest: Digest | None = None
    """Where it is given, the tag is only for people to read."""
    build: Literal["cpu", "gpu"] = "cpu"
    """Which target of the Dockerfile it is."""

    @property
    def reference(self) -> str:
        """As Docker and Kubernetes write it."""
        return f"{self.name}:{self.tag}" + (f"@{self.digest}" if self.digest else "")


class Size(Frozen):
    """What one node has."""

    cpus: int = Field(default=4, ge=1, le=1024)
    memory_gib: int = Field(default=8, ge=2, le=65536)


class Head(Size):
    """The node with the control plane, and with everything durable."""

    state_gib: int = Field(default=20, ge=1, le=1_000_000)
    """Disk of the state directory."""
    storage_class: Label | None = None
    """Kubernetes storage class of that disk; unset: the cluster's default."""


class Workers(Size):
    """A group of equal nodes."""

    name: Label
    gpus: int = Field(default=0, ge=0, le=16)
    """GPUs of each."""
    min: int = Field(default=1, ge=0, le=10_000)
    max: int = Field(default=1, ge=0, le=10_000)
    machine: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    """The cloud's machine type, for `ray up`."""


class Gateway(Frozen):
    """The public endpoint."""

    bind: Literal["127.0.0.1", "0.0.0.0"] = "127.0.0.1"  # noqa: S104 - one of two choices
    """Address of the host at which Compose publishes the port."""
    port: int = Field(default=8080, ge=1024, le=65535)
    replicas: int = Field(default=1, ge=1, le=64)
    """Gateway replicas on each node that has a proxy."""
    behind_tls: bool = False
    """Something in front (an ingress, a load balancer) speaks TLS."""


class FaultTolerance(Frozen):
    """Redis behind the head's GCS: the head can be lost and comes back with what it knew."""

    redis: Address = "redis"
    """Host of a Redis; Compose brings its own under this name."""
    port: int = Field(default=6379, ge=1, le=65535)


class GatewayNodes(Frozen):
    """Nodes without GPUs that KEDA adds and takes away by what gateways report."""

    min: int = Field(default=1, ge=1, le=1000)
    max: int = Field(default=4, ge=1, le=1000)
    inflight: int = Field(default=64, ge=1, le=100_000)
    """Requests under way for which there is one node."""


class Secrets(Frozen):
    """Names of the Kubernetes Secrets. With Compose they are files with the field's name."""

    ray_token: SecretName = "zoran-ray-token"  # noqa: S105 - a name
    """With the key `auth_token`: what lets a node or a driver into the Ray cluster."""
    redis_password: SecretName = "zoran-redis"  # noqa: S105
    """With the key `redis_password`."""
    keys: SecretName | None = None
    """With the key `keys.sqlite`, from `zoran keys create`: the API keys that a new state begins with."""
    metrics_key: SecretName | None = None
    """With the key `metrics_key`: the API key that Prometheus shows to `/metrics`."""
    providers: SecretName | None = None
    """Its keys become environment variables, such as OPENAI_API_KEY."""
    node_tls: SecretName | None = None
    """With `tls.crt`, `tls.key` and `ca.crt`: mutual TLS between Ray's nodes. Unset: none."""


class RayUp(Frozen):
    """What `ray up` needs besides: where machines come from, or which there are."""

    provider: Literal["aws", "gcp", "local"]
    region: str | None = Field(default=None, pattern=r"^[a-z0-9-]{2,32}$")
    zone: str | None = Field(default=None, pattern=r"^[a-z0-9-]{2,32}$")
    project: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")
    subnet: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,255}$")
    """A private subnet: nodes get no public address."""
    security_group: str | None = Field(default=None, pattern=r"^sg-[0-9a-f]{8,17}$")
    """AWS: a group of your own, that lets nothing in from outside. Without one Ray makes a group with SSH
    open to everybody."""
    machine_image: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,255}$")
    """AMI, or path of the image in GCP; with Docker on it."""
    head_machine: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    head_address: Address | None = None
    worker_addresses: tuple[Address, ...] = Field(default=(), max_length=1000)
    ssh_user: Account = "zoran"


class ClusterProfile(Frozen):
    """One deployment, from a laptop to a cluster."""

    name: Label
    image: Image = Image()
    gateway: Gateway = Gateway()
    head: Head = Head()
    workers: tuple[Workers, ...] = Field(default=(), max_length=64)
    autoscaling: Literal["off", "ray", "keda"] = "off"
    """`off`: every group has `min` nodes. `ray`: Ray's autoscaler (v2) moves between `min` and `max`.
    `keda`: it does not, and KEDA adds gateway nodes."""
    gateway_nodes: GatewayNodes | None = None
    upgrade: Literal["in_place", "new_cluster"] = "in_place"
    """Kubernetes. `in_place`: nodes change by the operator's hand, models and arms while everything runs.
    `new_cluster`: KubeRay starts a second cluster, and switches over when that one answers."""
    state: Literal["volume", "ephemeral"] = "volume"
    """`ephemeral`: keys, journal, memory and tasks are gone with the head's pod."""
    fault_tolerance: FaultTolerance | None = None
    qdrant: bool = False
    watch: bool = False
    """Prometheus and Grafana with Compose; a ServiceMonitor in Kubernetes."""
    secrets: Secrets = Secrets()
    ray_up: RayUp | None = None

    @property
    def most_nodes(self) -> int:
        """Nodes that there can be, the head included."""
        added = self.gateway_nodes.max if self.autoscaling == "keda" and self.gateway_nodes else 0
        return 1 + added + sum(group.max for group in self.workers)


def read_profile(path: Path) -> ClusterProfile:
    """Read one profile, strictly.

    Raises:
        ConfigError: It cannot be read, or a field is wrong: file, line, field and what was expected.
    """
    document = read_document(path)
    return profile_of(document.data, document.place)


def profile_of(data: Any, place: Any) -> ClusterProfile:
    """Plain values as a profile; `place` says where the value at a path came from."""
    return validated(ClusterProfile, data, place)
