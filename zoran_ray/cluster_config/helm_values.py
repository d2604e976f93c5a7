"""Values for the chart `cluster/helm/zoran`, from a profile. Pure; secrets are but names."""

from typing import Any

from zoran_ray.cluster_config.profile import ClusterProfile, Size, Workers


def helm_values(profile: ClusterProfile) -> dict[str, Any]:
    """What differs from the chart's own `values.yaml`, as plain values.

    Args:
        profile: Coherent for `helm`.
    """
    image = profile.image
    return {
        "image": {"repository": image.name, "tag": image.tag, "digest": image.digest or ""},
        "gateway": {"replicas": profile.gateway.replicas},
        "head": {
            **_resources(profile.head),
            "persistence": {
                "enabled": profile.state == "volume",
                "size": f"{profile.head.state_gib}Gi",
                "storageClass": profile.head.storage_class or "",
            },
        },
        "workers": [_group(group) for group in profile.workers],
        "autoscaling": {"mode": profile.autoscaling},
        "gatewayNodes": _gateway_nodes(profile),
        "upgrade": {"strategy": "NewCluster" if profile.upgrade == "new_cluster" else "None"},
        "redis": _redis(profile),
        "secrets": _secrets(profile),
        "monitoring": {"enabled": profile.watch},
    }


def _resources(size: Size) -> dict[str, Any]:
    return {"cpus": size.cpus, "memory": f"{size.memory_gib}Gi"}


def _group(group: Workers) -> dict[str, Any]:
    return {
        "name": group.name,
        **_resources(group),
        "gpus": group.gpus,
        "min": group.min,
        "max": group.max,
    }


def _gateway_nodes(profile: ClusterProfile) -> dict[str, Any]:
    nodes = profile.gateway_nodes
    if nodes is None:
        return {}
    return {"min": nodes.min, "max": nodes.max, "inflight": nodes.inflight}


def _redis(profile: ClusterProfile) -> dict[str, Any]:
    redis = profile.fault_tolerance
    return (
        {"enabled": False} if redis is None else {"enabled": True, "host": redis.redis, "port": redis.port}
    )


def _secrets(profile: ClusterProfile) -> dict[str, str]:
    names = profile.secrets
    return {
        "rayToken": names.ray_token,
        "redisPassword": names.redis_password,
        "keys": names.keys or "",
        "metricsKey": names.metrics_key or "",
        "providers": names.providers or "",
        "nodeTls": names.node_tls or "",
    }
