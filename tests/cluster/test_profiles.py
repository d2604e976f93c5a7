"""Profiles: strict, and what contradicts itself is named with its fix."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.cluster_config import contradictions, read_profile, require_coherent
from zoran_ray.cluster_config.profile import profile_of
from zoran_ray.errors import ConfigError

MEANT_FOR = {
    "laptop": "compose",
    "gpu-server": "compose",
    "cluster": "helm",
    "aws": "ray",
    "gcp": "ray",
    "on-premise": "ray",
}
GPU_IMAGE = {"name": "zoran", "tag": "1-gpu", "build": "gpu"}


def profile(**fields: Any) -> Any:
    return profile_of({"name": "test", **fields}, lambda path: "test.yaml:1")


@pytest.mark.parametrize(("name", "target"), MEANT_FOR.items())
def test_what_ships_is_coherent(root: Path, name: str, target: Any) -> None:
    assert contradictions(read_profile(root / f"configs/profiles/{name}.yaml"), target) == ()


def test_every_profile_that_ships_is_tested(root: Path) -> None:
    assert {path.stem for path in (root / "configs/profiles").glob("*.yaml")} == set(MEANT_FOR)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"gatway": {}}, "did you mean 'gateway'"),
        ({"gateway": {"port": "8080"}}, "gateway.port"),
        ({"gateway": {"bind": "10.0.0.1"}}, "gateway.bind"),
        ({"head": {"memory_gib": 0}}, "head.memory_gib"),
        ({"name": "No Name"}, "name"),
        ({"image": {"digest": "sha256:1"}}, "image.digest"),
        ({"ray_up": {"provider": "azure"}}, "ray_up.provider"),
    ],
)
def test_fields_are_strict(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=r"test\.yaml:1") as refused:
        profile(**fields)
    assert told in refused.value.message


@pytest.mark.parametrize(
    ("target", "fields", "wrong", "fix"),
    [
        (
            None,
            {"workers": [{"name": "a", "gpus": 1}]},
            "CPU image cannot use the GPUs of a",
            "build to gpu",
        ),
        (None, {"workers": [{"name": "a"}, {"name": "a"}]}, "twice", "name of its own"),
        (None, {"workers": [{"name": "a", "min": 2}]}, "at least 2 and at most 1", "Raise max"),
        (None, {"workers": [{"name": "a", "max": 2}]}, "nothing would take a from 1 to 2", "ray"),
        (None, {"autoscaling": "keda"}, "KEDA scales gateway_nodes", "leave both out"),
        (None, {"gateway_nodes": {}}, "KEDA scales gateway_nodes", "leave both out"),
        (
            None,
            {"autoscaling": "keda", "gateway_nodes": {"min": 3, "max": 2}},
            "min is above max",
            "Raise max",
        ),
        (None, {"upgrade": "new_cluster"}, "first one still holds it", "in_place"),
        (None, {"state": "ephemeral"}, "has no API key", "keys.sqlite"),
        (
            None,
            {"secrets": {"ray_token": "one", "redis_password": "one"}},
            "each reader",
            "one Secret for each",
        ),
        ("compose", {"autoscaling": "ray"}, "adds none", "off"),
        ("compose", {"workers": [{"name": "a"}, {"name": "b"}]}, "at most one worker", "Join groups"),
        ("helm", {"watch": True}, "needs an API key", "metrics_key"),
        ("helm", {"qdrant": True}, "brings no Qdrant", "qdrant_url"),
        ("ray", {}, "missing", "aws, gcp or local"),
        ("ray", {"ray_up": {"provider": "aws"}}, "ray_up.security_group", "Add what is missing"),
        (
            "ray",
            {"workers": [{"name": "a"}], "ray_up": {"provider": "local", "head_address": "10.0.0.1"}},
            "1 workers are wanted and 0 addresses",
            "one address for each",
        ),
    ],
)
def test_contradictions_are_named_with_their_fix(
    target: Any, fields: dict[str, Any], wrong: str, fix: str
) -> None:
    found = profile(**fields)
    with pytest.raises(ConfigError) as refused:
        require_coherent(found, target)
    assert wrong in refused.value.message
    assert fix in refused.value.message


def test_all_contradictions_are_told_at_once() -> None:
    found = profile(autoscaling="keda", upgrade="new_cluster", workers=[{"name": "a", "gpus": 1}])
    assert len(contradictions(found)) == 3


@given(st.binary(min_size=12, max_size=64).map(bytes.hex))
def test_a_secret_in_place_of_its_name_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ConfigError) as refused:
        profile(secrets={"ray_token": secret})
    assert secret not in str(refused.value)


@given(st.from_regex(r"[a-z]{2,12}-[a-z]{2,12}(-[a-z]{2,8})?", fullmatch=True))
def test_names_of_secrets_pass(name: str) -> None:
    assert profile(secrets={"ray_token": name}).secrets.ray_token == name


def test_nodes_are_counted() -> None:
    nodes = {
        "autoscaling": "keda",
        "gateway_nodes": {"max": 3},
        "workers": [{"name": "a", "min": 2, "max": 2}],
    }
    assert profile(**nodes).most_nodes == 6
