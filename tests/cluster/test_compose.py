"""`docker-compose.yml` and `.env`: valid, closed, and refused as long as placeholders stand in them."""

import json
import re
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from tests.cluster.containers import compose_words
from zoran_ray.cluster_config import compose_env, env_problems, read_profile
from zoran_ray.cluster_config.compose_env import VARIABLES

SECRETS = PurePosixPath("/srv/zoran/secrets")
OURS = {"check", "check-watch", "gateway", "worker-cpu", "worker-gpu"}


@pytest.fixture(scope="module")
def compose(root: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((root / "docker-compose.yml").read_text()))


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    return dict(compose["services"])


def test_it_is_what_the_specification_says(compose: dict[str, Any]) -> None:
    pytest.importorskip("check_jsonschema", reason="DOCKER-COMPOSE.YML IS NOT CHECKED: no check-jsonschema")
    from check_jsonschema.builtin_schemas import get_builtin_schema
    from jsonschema import Draft7Validator

    assert [
        error.message
        for error in Draft7Validator(get_builtin_schema("vendor.compose-spec")).iter_errors(compose)
    ] == []


def test_only_the_gateway_is_published(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if service.get("ports")}
    assert published == {"gateway": ["${ZORAN_BIND:-127.0.0.1}:${ZORAN_PORT:-8080}:8080"]}


def test_nobody_is_let_out_but_nodes(compose: dict[str, Any], services: dict[str, Any]) -> None:
    outside = {name for name, net in compose["networks"].items() if not (net or {}).get("internal")}
    assert outside == {"edge"}
    on_it = {name for name, each in services.items() if "edge" in each.get("networks", [])}
    assert on_it == {"gateway", "worker-cpu", "worker-gpu"}
    assert all(each.get("networks") or each.get("network_mode") == "none" for each in services.values())


def test_who_shares_a_network_has_to_talk(services: dict[str, Any]) -> None:
    def on(net: str) -> set[str]:
        return {name for name, each in services.items() if net in each.get("networks", [])}

    assert on("gcs") == {"gateway", "redis"}
    assert on("metrics") == {"gateway", "prometheus"}
    assert on("dashboards") == {"prometheus", "grafana"}
    assert on("vectors") == {"gateway", "worker-cpu", "worker-gpu", "qdrant"}


def test_every_service_is_hardened_and_bounded(services: dict[str, Any]) -> None:
    for name, each in services.items():
        assert each["read_only"] is True, name
        assert each["cap_drop"] == ["ALL"], name
        assert each["security_opt"] == ["no-new-privileges:true"], name
        assert each["user"].split(":")[0] not in ("0", "root"), name
        limits = each["deploy"]["resources"]["limits"]
        assert {"cpus", "memory", "pids"} <= set(limits), name
        assert "privileged" not in each, name
        assert not any("docker.sock" in volume for volume in each.get("volumes", [])), name


def test_every_service_says_how_it_is(services: dict[str, Any]) -> None:
    # The gateway's check is the image's.
    assert {name for name, each in services.items() if "healthcheck" not in each} == {"gateway"}


def test_images_of_others_are_pinned(services: dict[str, Any]) -> None:
    for name, each in services.items():
        if name not in OURS:
            assert re.fullmatch(r"[a-z/]+:v?[0-9]+\.[0-9]+\.[0-9]+(-[a-z]+)?", each["image"]), each["image"]


def test_secrets_go_by_file_alone(compose: dict[str, Any], services: dict[str, Any]) -> None:
    assert all(set(secret) == {"file"} for secret in compose["secrets"].values())
    for each in services.values():
        for name, value in each.get("environment", {}).items():
            if re.search(r"PASSWORD|TOKEN|SECRET|KEY", name):
                assert name.endswith(("__FILE", "_PATH"))
                assert str(value).startswith("/run/secrets/")


def test_nothing_starts_before_its_secrets_were_looked_at(services: dict[str, Any]) -> None:
    for name, each in services.items():
        if name.startswith("check"):
            assert each["command"] == ["zoran", "cluster", "check", "--secrets", "/run/secrets"]
            continue
        checked = {
            key for key, how in each["depends_on"].items() if how["condition"].endswith("successfully")
        }
        assert checked
        assert set(each.get("secrets", [])) <= {s for key in checked for s in services[key]["secrets"]}, (
            name
        )


def test_the_variables_are_those_that_are_documented(root: Path) -> None:
    text = (root / "docker-compose.yml").read_text()
    used = set(re.findall(r"\$\{([A-Z_]+)", text)) | {"COMPOSE_PROFILES"}
    assert used == set(VARIABLES)
    assert set(re.findall(r"(?m)^([A-Z_]+)=", (root / ".env.example").read_text())) == set(VARIABLES)


def test_profiles_of_services_are_those_that_are_rendered(services: dict[str, Any]) -> None:
    assert {name for each in services.values() for name in each.get("profiles", [])} == {
        *("cpu", "gpu", "qdrant", "watch")
    }


@pytest.mark.parametrize("name", ["laptop", "gpu-server"])
def test_what_is_rendered_is_filled_in(root: Path, name: str) -> None:
    text = compose_env(read_profile(root / f"configs/profiles/{name}.yaml"), SECRETS)
    assert env_problems(text) == ()


def test_a_worker_in_the_profile_is_a_worker_in_the_stack(root: Path) -> None:
    text = compose_env(read_profile(root / "configs/profiles/gpu-server.yaml"), SECRETS)
    assert "COMPOSE_PROFILES=gpu,qdrant,watch\n" in text
    assert "ZORAN_GPU_WORKER_GPUS=2\n" in text
    assert "ZORAN_SECRETS=/srv/zoran/secrets\n" in text


def test_the_example_is_refused(root: Path) -> None:
    problems = env_problems((root / ".env.example").read_text())
    assert len(problems) == 2
    assert all("placeholder" in each for each in problems)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("ZORAN_PORT=8080\n", "", "ZORAN_PORT is missing"),
        ("ZORAN_PORT=8080", "ZORAN_PORT=", "ZORAN_PORT is empty"),
        ("ZORAN_PORT=", "ZORAN_PROT=", "did you mean 'ZORAN_PORT'"),
        ("ZORAN_PORT=8080", "ZORAN_PORT=8080\nZORAN_PORT=9090", "here twice"),
        ("ZORAN_PORT=8080", "ZORAN_PORT 8080", "not NAME=value"),
    ],
)
def test_half_filled_is_told(root: Path, before: str, after: str, told: str) -> None:
    text = compose_env(read_profile(root / "configs/profiles/laptop.yaml"), SECRETS)
    assert any(told in each for each in env_problems(text.replace(before, after, 1)))


def _compose_config(root: Path, env: Path) -> "subprocess.CompletedProcess[str]":
    words = compose_words()
    if not words:
        pytest.skip("COMPOSE ITSELF WAS NOT ASKED: there is no Docker Compose here")
    return subprocess.run(
        [*words, "--env-file", str(env), "--profile", "*", "config", "--format", "json"],
        cwd=root,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_compose_itself_takes_it(root: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        compose_env(read_profile(root / "configs/profiles/gpu-server.yaml"), SECRETS)
    )
    done = _compose_config(root, tmp_path / ".env")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["services"]
    assert [port["published"] for each in found.values() for port in each.get("ports", [])] == ["8080"]


def test_compose_itself_refuses_what_is_not_filled_in(root: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("")
    done = _compose_config(root, tmp_path / ".env")
    assert done.returncode != 0
    assert "name the folder of the secrets" in done.stderr
