"""What `ray up` reads: as its schema says, the same as rendered, and nothing open."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from zoran_ray.cluster_config import ray_up, read_profile
from zoran_ray.cluster_config.profile import profile_of

NAMES = ("aws", "gcp", "on-premise")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    found = importlib.util.find_spec("ray")
    assert found is not None
    assert found.origin is not None
    return dict(json.loads((Path(found.origin).parent / "autoscaler/ray-schema.json").read_text()))


@pytest.fixture(params=NAMES)
def config(request: pytest.FixtureRequest, root: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((root / f"cluster/ray/{request.param}.yaml").read_text()))


def test_what_lies_there_is_what_is_rendered(root: Path) -> None:
    for name in NAMES:
        profile = read_profile(root / f"configs/profiles/{name}.yaml")
        assert yaml.safe_load((root / f"cluster/ray/{name}.yaml").read_text()) == ray_up(profile)


def test_it_is_what_ray_takes(schema: dict[str, Any], config: dict[str, Any]) -> None:
    assert schema["additionalProperties"] is False
    jsonschema.validate(config, schema)


def test_no_machine_has_a_public_address(config: dict[str, Any]) -> None:
    if config["provider"]["type"] == "local":
        return
    assert config["provider"]["use_internal_ips"] is True
    for kind in config["available_node_types"].values():
        machine = kind["node_config"]
        if config["provider"]["type"] == "aws":
            assert machine["SecurityGroupIds"]
            assert machine["MetadataOptions"]["HttpTokens"] == "required"
            assert all(disk["Ebs"]["Encrypted"] for disk in machine["BlockDeviceMappings"])
        else:
            assert all("accessConfigs" not in net for net in machine["networkInterfaces"])


def test_nodes_start_with_the_token_and_only_so(config: dict[str, Any]) -> None:
    assert config["file_mounts"]["~/.ray/auth_token"] == "./secrets/ray_token"
    commands = config["head_start_ray_commands"] + config["worker_start_ray_commands"]
    assert all("zoran cluster " in each and "ray start" not in each for each in commands)
    assert {"--cap-drop=ALL", "--security-opt=no-new-privileges"} <= set(config["docker"]["run_options"])
    # Published by nobody but the head, and there on loopback unless the profile says otherwise.
    assert all("ZORAN_SERVER__HOST=127.0.0.1" in each for each in config["head_start_ray_commands"])


def test_redis_comes_with_a_password_in_a_file() -> None:
    profile = profile_of(
        {
            "name": "test",
            "fault_tolerance": {"redis": "10.0.0.9"},
            "ray_up": {"provider": "local", "head_address": "10.0.0.1"},
        },
        lambda path: "test.yaml",
    )
    config = ray_up(profile)
    (command,) = config["head_start_ray_commands"]
    assert "--redis=10.0.0.9:6379 --redis-password-file=~/.ray/redis_password" in command
    assert config["file_mounts"]["~/.ray/redis_password"] == "./secrets/redis_password"
