"""A `.env` for Compose whose values cannot be meant: each is named, with what to do, and none is quoted."""

from pathlib import Path, PurePosixPath

import pytest
from typer.testing import CliRunner

from zoran_ray.cli.app import app
from zoran_ray.cluster_config import compose_env, env_problems, missing_secrets, read_profile

ROOT = Path(__file__).parents[2]
SECRET = "9f3ab1c07e52d8469f3ab1c07e52d846"


def rendered(profile: str = "laptop") -> str:
    return compose_env(read_profile(ROOT / f"configs/profiles/{profile}.yaml"), PurePosixPath("/srv/s"))


def filled(**values: str) -> str:
    lines = [line for line in rendered().splitlines() if line.partition("=")[0] not in values]
    return "\n".join((*lines, *(f"{name}={value}" for name, value in values.items())))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ZORAN_PORT", "http"),
        ("ZORAN_PORT", "0"),
        ("ZORAN_PORT", "65536"),
        ("ZORAN_GATEWAYS", "many"),
        ("ZORAN_GATEWAYS", "-1"),
        ("ZORAN_HEAD_CPUS", "0"),
        ("ZORAN_HEAD_MEMORY", "lots"),
        ("ZORAN_HEAD_MEMORY", "8 GB"),
        ("ZORAN_BIND", "everywhere"),
        ("ZORAN_GPU_WORKER_GPUS", "all"),
        ("COMPOSE_PROFILES", "cpu,wacth"),
    ],
)
def test_a_value_that_is_none_is_named(name: str, value: str) -> None:
    (problem,) = env_problems(filled(**{name: value}))
    assert name in problem
    assert value not in problem.partition(name)[2] or len(value) < 3


@pytest.mark.parametrize("value", ["4", "0.5", "16"])
def test_values_that_are_right(value: str) -> None:
    assert env_problems(filled(ZORAN_HEAD_CPUS=value, ZORAN_BIND="::1", COMPOSE_PROFILES="cpu,watch")) == ()


def test_gpus_with_the_image_for_cpus() -> None:
    values = {"COMPOSE_PROFILES": "gpu,watch", "ZORAN_IMAGE": "zoran:0.1.0-cpu"}
    (problem,) = env_problems(filled(**values))
    assert problem.startswith("COMPOSE_PROFILES and ZORAN_IMAGE:")
    assert "take gpu out" in problem


def test_secrets_that_a_service_needs(tmp_path: Path) -> None:
    for name in ("ray_token", "redis_password"):
        (tmp_path / name).write_text(SECRET)
    assert missing_secrets(filled(COMPOSE_PROFILES="cpu"), tmp_path) == ()
    told = missing_secrets(filled(COMPOSE_PROFILES="cpu, watch"), tmp_path)
    assert [word in each for word, each in zip(("metrics_key", "grafana_password"), told, strict=True)]


def test_the_command_says_so(tmp_path: Path) -> None:
    env, folder = tmp_path / ".env", tmp_path / "secrets"
    folder.mkdir()
    (folder / "ray_token").write_text(SECRET)
    env.write_text(filled(ZORAN_PORT="x"))
    done = CliRunner().invoke(app, ["cluster", "check", "--env", str(env), "--secrets", str(folder)])
    assert done.exit_code == 3
    for words in ("ZORAN_PORT is no whole number", "redis_password"):
        assert words in done.output
    assert SECRET not in done.output
