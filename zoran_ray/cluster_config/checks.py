"""What in a profile contradicts itself: each with what is wrong and what to change. Pure."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from zoran_ray.cluster_config.profile import ClusterProfile, RayUp
from zoran_ray.errors import ConfigError

Target = Literal["compose", "helm", "ray"]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two fields that cannot both be meant.

    Attributes:
        fields: Their names, as in the file.
        wrong: What is wrong.
        fix: What to change.
    """

    fields: tuple[str, ...]
    wrong: str
    fix: str

    def __str__(self) -> str:
        return f"{' and '.join(self.fields)}: {self.wrong}. {self.fix}."


def contradictions(profile: ClusterProfile, target: Target | None = None) -> tuple[Contradiction, ...]:
    """Everything that contradicts itself, in the order of the file.

    Args:
        profile: What to check.
        target: What it is to be rendered for; None: what holds everywhere.
    """
    found = [*_machines(profile), *_scaling(profile), *_state(profile), *_secrets(profile)]
    if target == "compose":
        found += _compose(profile)
    if target == "helm":
        found += _helm(profile)
    if target == "ray":
        found += _ray_up(profile)
    return tuple(found)


def require_coherent(profile: ClusterProfile, target: Target | None = None) -> None:
    """Raises: ConfigError: one line for each contradiction."""
    if found := contradictions(profile, target):
        raise ConfigError("\n".join(str(each) for each in found), param=found[0].fields[0])


def _machines(profile: ClusterProfile) -> Iterator[Contradiction]:
    gpus = [group.name for group in profile.workers if group.gpus]
    if gpus and profile.image.build == "cpu":
        yield Contradiction(
            ("image.build", "workers.gpus"),
            f"the CPU image cannot use the GPUs of {', '.join(gpus)}",
            "Set image.build to gpu and name an image of that target, or gpus to 0",
        )
    for name, count in Counter(group.name for group in profile.workers).items():
        if count > 1 or name in ("head", "gateway-nodes"):
            yield Contradiction(
                ("workers.name",), f"'{name}' is there twice or taken", "Give each group a name of its own"
            )


def _scaling(profile: ClusterProfile) -> Iterator[Contradiction]:
    for group in profile.workers:
        if group.min > group.max:
            yield Contradiction(
                ("workers.min", "workers.max"),
                f"{group.name} has at least {group.min} and at most {group.max} nodes",
                "Raise max or lower min",
            )
        elif group.min < group.max and profile.autoscaling != "ray":
            yield Contradiction(
                ("workers.max", "autoscaling"),
                f"nothing would take {group.name} from {group.min} to {group.max} nodes",
                "Set autoscaling to ray, or min and max to the same number",
            )
    if (profile.autoscaling == "keda") != (profile.gateway_nodes is not None):
        yield Contradiction(
            ("autoscaling", "gateway_nodes"),
            "KEDA scales gateway_nodes, and nothing else does",
            "Set autoscaling to keda and say how many gateway_nodes there may be, or leave both out",
        )
    if profile.gateway_nodes and profile.gateway_nodes.min > profile.gateway_nodes.max:
        yield Contradiction(
            ("gateway_nodes.min", "gateway_nodes.max"), "min is above max", "Raise max or lower min"
        )


def _state(profile: ClusterProfile) -> Iterator[Contradiction]:
    if profile.upgrade == "new_cluster" and profile.state == "volume":
        yield Contradiction(
            ("upgrade", "state"),
            "the second cluster would need the state directory while the first one still holds it",
            "Set upgrade to in_place, or state to ephemeral if nothing need survive the head's pod",
        )
    if profile.state == "ephemeral" and profile.secrets.keys is None:
        yield Contradiction(
            ("state", "secrets.keys"),
            "a new state has no API key, and an endpoint without one refuses to start",
            "Name a Secret with keys.sqlite in secrets.keys, or set state to volume",
        )


def _secrets(profile: ClusterProfile) -> Iterator[Contradiction]:
    names = profile.secrets.model_dump(exclude_none=True)
    for name, count in Counter(names.values()).items():
        if count > 1:
            fields = tuple(f"secrets.{field}" for field, value in names.items() if value == name)
            yield Contradiction(
                fields,
                "one Secret for both gives each reader the other's secret",
                "Use one Secret for each",
            )


def _compose(profile: ClusterProfile) -> Iterator[Contradiction]:
    # One host: Docker gives what it has, and nobody adds machines.
    if profile.autoscaling != "off":
        yield Contradiction(
            ("autoscaling",),
            "Compose has one machine and adds none",
            "Set autoscaling to off, or render for helm or ray",
        )
    several = [group.name for group in profile.workers if group.max > 1]
    kinds = Counter("gpu" if group.gpus else "cpu" for group in profile.workers)
    if several or any(count > 1 for count in kinds.values()):
        yield Contradiction(
            ("workers",),
            "Compose has at most one worker with GPUs and one without",
            "Join groups of a kind, with max at 1, or render for helm or ray",
        )


def _helm(profile: ClusterProfile) -> Iterator[Contradiction]:
    if profile.watch and profile.secrets.metrics_key is None:
        yield Contradiction(
            ("watch", "secrets.metrics_key"),
            "Prometheus needs an API key to read /metrics",
            "Name the Secret that holds one in secrets.metrics_key, or set watch to false",
        )
    if profile.qdrant:
        yield Contradiction(
            ("qdrant",),
            "the chart brings no Qdrant",
            "Set it to false, and memory.qdrant_url in the settings to one that runs",
        )


def _ray_up(profile: ClusterProfile) -> Iterator[Contradiction]:
    up = profile.ray_up
    if up is None:
        yield Contradiction(("ray_up",), "it is missing", "Say where machines come from: aws, gcp or local")
        return
    if profile.autoscaling == "keda":
        yield Contradiction(("autoscaling",), "KEDA needs Kubernetes", "Set autoscaling to ray or off")
    missing = [name for name in _NEEDED[up.provider] if not getattr(up, name)]
    if missing:
        yield Contradiction(
            tuple(f"ray_up.{name}" for name in missing),
            f"{up.provider} needs {'it' if len(missing) == 1 else 'them'}",
            "Add what is missing",
        )
    yield from _nodes_of(profile, up)


_NEEDED: dict[str, tuple[str, ...]] = {
    "aws": ("region", "subnet", "security_group", "machine_image", "head_machine"),
    "gcp": ("region", "zone", "project", "subnet", "machine_image", "head_machine"),
    "local": ("head_address",),
}


def _nodes_of(profile: ClusterProfile, up: RayUp) -> Iterator[Contradiction]:
    if up.provider == "local":
        wanted, there = sum(group.max for group in profile.workers), len(up.worker_addresses)
        if wanted != there:
            yield Contradiction(
                ("workers", "ray_up.worker_addresses"),
                f"{wanted} workers are wanted and {there} addresses are there",
                "Name one address for each worker",
            )
        return
    without = [group.name for group in profile.workers if group.machine is None]
    if without:
        yield Contradiction(
            ("workers.machine",), f"{', '.join(without)} has none", "Name the machine type of each group"
        )
