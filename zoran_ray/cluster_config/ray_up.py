"""What `ray up` (Ray's cluster launcher) reads, from a profile. Pure; the token goes as a file.

Every node runs our image; `zoran cluster head` and `zoran cluster join` start Ray in it, with token
authentication. Nodes have addresses of a private subnet alone.

Source: `ray/autoscaler/ray-schema.json` of Ray 2.60.
"""

from typing import Any

from zoran_ray.cluster_config.profile import ClusterProfile, RayUp, Size
from zoran_ray.ray_start import GCS_PORT

OWNER = 10001
"""User and group of the image."""
SECRETS = "./secrets"
"""Folder with `ray_token` (and `redis_password`) beside the file that is rendered."""

_BOOTSTRAP = "~/ray_bootstrap_config.yaml"
_TOKEN = "~/.ray/auth_token"  # noqa: S105 - where Ray looks for the token by itself
_REDIS_PASSWORD = "~/.ray/redis_password"  # noqa: S105
_STATE = "/var/lib/zoran"
_NODE_IMAGE_GB = 100


def ray_up(profile: ClusterProfile) -> dict[str, Any]:
    """The cluster launcher's configuration as plain values.

    Args:
        profile: Coherent for `ray`.
    """
    up = profile.ray_up
    if up is None:
        raise ValueError("a profile without ray_up is not coherent for ray")
    common = {
        "cluster_name": profile.name,
        "max_workers": profile.most_nodes - 1,
        "provider": _provider(up),
        "auth": {"ssh_user": up.ssh_user},
        "docker": _docker(profile),
        "file_mounts": _files(profile),
        "initialization_commands": [f"sudo install -d -m 700 -o {OWNER} -g {OWNER} {_STATE}"],
        "setup_commands": [f"chmod 600 {' '.join(_files(profile))}"],
        "head_start_ray_commands": [_head_command(profile)],
        "worker_start_ray_commands": [
            _started(f"zoran cluster join $RAY_HEAD_IP:{GCS_PORT}", "worker.log")
        ],
    }
    if up.provider == "local":
        return common
    return common | {"head_node_type": "head", "available_node_types": _node_types(profile, up)}


def _provider(up: RayUp) -> dict[str, Any]:
    if up.provider == "local":
        return {"type": "local", "head_ip": up.head_address, "worker_ips": list(up.worker_addresses)}
    found: dict[str, Any] = {"type": up.provider, "region": up.region, "use_internal_ips": True}
    if up.provider == "gcp":
        return found | {"availability_zone": up.zone, "project_id": up.project}
    # Ray would keep stopped machines, with their disks.
    return found | {"cache_stopped_nodes": False} | ({"availability_zone": up.zone} if up.zone else {})


def _docker(profile: ClusterProfile) -> dict[str, Any]:
    bounds = ["--cap-drop=ALL", "--security-opt=no-new-privileges", "--pids-limit=32768"]
    return {
        "image": profile.image.reference,
        "container_name": "zoran",
        "pull_before_run": True,
        "run_options": [*bounds, f"--volume={_STATE}:{_STATE}"],
    }


def _files(profile: ClusterProfile) -> dict[str, str]:
    found = {_TOKEN: f"{SECRETS}/ray_token"}
    if profile.fault_tolerance:
        found[_REDIS_PASSWORD] = f"{SECRETS}/redis_password"
    return found


def _head_command(profile: ClusterProfile) -> str:
    options = (
        []
        if profile.ray_up and profile.ray_up.provider == "local"
        else [f"--autoscaling-config={_BOOTSTRAP}"]
    )
    if redis := profile.fault_tolerance:
        options += [f"--redis={redis.redis}:{redis.port}", f"--redis-password-file={_REDIS_PASSWORD}"]
    public = f"ZORAN_SERVER__HOST={profile.gateway.bind} ZORAN_SERVER__PORT={profile.gateway.port}"
    return f"{public} {_started(' '.join(('zoran cluster head', *options)), 'head.log')}"


def _started(command: str, log: str) -> str:
    """It goes on when the launcher's SSH session ends."""
    return f"setsid --fork {command} >>{_STATE}/{log} 2>&1 </dev/null"


def _node_types(profile: ClusterProfile, up: RayUp) -> dict[str, Any]:
    found: dict[str, Any] = {
        "head": {
            "min_workers": 0,
            "max_workers": 0,
            "resources": _resources(profile.head, 0),
            "node_config": _machine(up, up.head_machine, profile.head.state_gib),
        }
    }
    for group in profile.workers:
        found[group.name] = {
            "min_workers": group.min,
            "max_workers": group.max,
            "resources": _resources(group, group.gpus),
            "node_config": _machine(up, group.machine, 0),
        }
    return found


def _resources(size: Size, gpus: int) -> dict[str, int]:
    return {"CPU": size.cpus, "memory": size.memory_gib * 1024**3} | ({"GPU": gpus} if gpus else {})


def _machine(up: RayUp, machine: str | None, extra_gib: int) -> dict[str, Any]:
    disk_gb = _NODE_IMAGE_GB + extra_gib
    if up.provider == "aws":
        return {
            "InstanceType": machine,
            "ImageId": up.machine_image,
            "SubnetIds": [up.subnet],
            "SecurityGroupIds": [up.security_group],
            # Whoever makes a process here fetch an address must not get the machine's credentials by it.
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
            "BlockDeviceMappings": [
                {
                    "DeviceName": "/dev/sda1",
                    "Ebs": {"VolumeSize": disk_gb, "VolumeType": "gp3", "Encrypted": True},
                }
            ],
        }
    return {
        "machineType": machine,
        # Without `accessConfigs` there is no public address.
        "networkInterfaces": [{"subnetwork": up.subnet}],
        "shieldedInstanceConfig": {"enableSecureBoot": True, "enableVtpm": True},
        "disks": [
            {
                "boot": True,
                "autoDelete": True,
                "type": "PERSISTENT",
                "initializeParams": {"diskSizeGb": disk_gb, "sourceImage": up.machine_image},
            }
        ],
    }
