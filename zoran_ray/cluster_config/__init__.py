"""From one profile to what Compose, Helm and `ray up` read; checks of both. Knows no Ray, starts nothing.

Secrets are named here, never held: a profile says which file or Kubernetes Secret has one, and what is
rendered repeats that name. `secret_files` alone looks into such files, and tells only whether they will do.
"""

from zoran_ray.cluster_config.checks import Contradiction, contradictions, require_coherent
from zoran_ray.cluster_config.compose_env import compose_env
from zoran_ray.cluster_config.env_file import env_problems, missing_secrets
from zoran_ray.cluster_config.helm_values import helm_values
from zoran_ray.cluster_config.profile import ClusterProfile, read_profile
from zoran_ray.cluster_config.ray_up import ray_up
from zoran_ray.cluster_config.secret_files import require_secrets, secret_problems

__all__ = [
    "ClusterProfile",
    "Contradiction",
    "compose_env",
    "contradictions",
    "env_problems",
    "helm_values",
    "missing_secrets",
    "ray_up",
    "read_profile",
    "require_coherent",
    "require_secrets",
    "secret_problems",
]
