"""Docker Compose as a place to deploy to: with a small `docker` of our own, and with a real one.

The small one keeps what the variable was at the last `up`, checks the words that it is given, and answers
`ps` as Compose does. It starts nothing.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from zoran_ray.autopilot.deploy import Deployer, Health, Release, deployers_of
from zoran_ray.deploy_targets import ComposeTarget
from zoran_ray.errors import DeployRefused, Unreachable, UpstreamError

OLD, NEW = "a" * 40, "b" * 40
DOCKER = """#!{python}
import json, os, pathlib, sys
here = pathlib.Path("docker")
words = sys.argv[1:]
with open(here / "asked", "a") as asked:
    asked.write(json.dumps([words, os.environ.get("DOCKER_HOST"), sorted(os.environ)]) + "\\n")
if (here / "down").exists():
    sys.exit(1)
command = next(word for word in words if word in ("up", "ps"))
if command == "up":
    text = pathlib.Path("release.env").read_text()
    if (here / "fails").exists():
        sys.exit(1)
    (here / "runs").write_text(text)
else:
    sys.stdout.write((here / "ps").read_text() if (here / "ps").exists() else "")
"""
RUNS = {"Name": "shop-web-1", "Service": "web", "State": "running", "Health": "healthy", "ExitCode": 0}
STARTS = {**RUNS, "Health": "starting"}
MIGRATED = {**RUNS, "Service": "migrate", "State": "exited", "Health": ""}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "docker").mkdir()
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "docker"
    program.write_text(DOCKER.replace("{python}", sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("APP_COMMIT", "from-our-own-environment")
    return tmp_path


def target(folder: Path, **fields: object) -> Deployer:
    said = {
        "kind": "compose",
        "project": "shop",
        "files": [folder / "compose.yaml"],
        "folder": folder,
        **fields,
    }
    return deployers_of({"x": ComposeTarget.model_validate(said)})["x"]


def shows(folder: Path, *rows: dict[str, object], as_list: bool = False) -> None:
    text = json.dumps(rows) if as_list else "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "docker" / "ps").write_text(text)


def asked(folder: Path) -> list[tuple[list[str], str | None, list[str]]]:
    lines = (folder / "docker" / "asked").read_text().splitlines()
    return [(words, host, names) for words, host, names in map(json.loads, lines)]


def test_a_commit_is_deployed_and_the_one_before_comes_back(folder: Path) -> None:
    there = target(folder)
    assert there.reversible
    assert there.current() is None
    assert there.find(OLD, "m1") is None
    there.deploy(OLD, "m1")
    before = there.current()
    assert before == there.find(OLD, "m1") == Release("m1", OLD)
    made = there.deploy(NEW, "m2")
    assert (folder / "docker" / "runs").read_text() == f"APP_COMMIT={NEW}\n"
    shows(folder, RUNS)
    assert there.health(made) is Health.HEALTHY
    back = there.roll_back(before, "m3")
    assert back == Release("m3", OLD) == there.current() == there.find(OLD, "m3")
    assert (folder / "docker" / "runs").read_text() == f"APP_COMMIT={OLD}\n"


def test_the_words_of_the_command(folder: Path) -> None:
    other = folder / "other.env"
    there = target(folder, env_files=[other], docker_host="unix:///run/other.sock")
    there.deploy(NEW, "m")
    words, host, names = asked(folder)[-1]
    assert words == [
        "compose", "--project-name", "shop", "--file", str(folder / "compose.yaml"),
        "--env-file", str(other), "--env-file", str(folder / "release.env"),
        "up", "--detach", "--quiet-pull",
    ]  # fmt: skip
    assert host == "unix:///run/other.sock"
    assert "APP_COMMIT" not in names  # which would count more than the file


@pytest.mark.parametrize(
    ("rows", "health"),
    [
        ([RUNS], Health.HEALTHY),
        ([RUNS, MIGRATED], Health.HEALTHY),
        ([{**RUNS, "Health": ""}], Health.HEALTHY),
        ([RUNS, STARTS], Health.PENDING),
        ([{**RUNS, "State": "created", "Health": ""}], Health.PENDING),
        ([{**RUNS, "State": "restarting", "Health": ""}], Health.PENDING),
        ([MIGRATED], Health.PENDING),
        ([RUNS, {**MIGRATED, "ExitCode": 1}], Health.UNHEALTHY),
        ([{**RUNS, "Health": "unhealthy"}], Health.UNHEALTHY),
        ([{**RUNS, "State": "dead"}], Health.UNHEALTHY),
        ([{**RUNS, "State": "something new"}], Health.UNHEALTHY),
        ([{}], Health.UNHEALTHY),
        ([], Health.UNHEALTHY),
    ],
)
@pytest.mark.parametrize("as_list", [False, True], ids=["lines", "list"])
def test_what_containers_say(
    folder: Path, rows: list[dict[str, object]], health: Health, as_list: bool
) -> None:
    there = target(folder)
    made = there.deploy(NEW, "m")
    shows(folder, *rows, as_list=as_list)
    assert there.health(made) is health


def test_what_did_not_start_is_not_well_and_comes_back(folder: Path) -> None:
    there = target(folder)
    before = there.deploy(OLD, "m1")
    shows(folder, RUNS)
    (folder / "docker" / "fails").touch()
    made = there.deploy(NEW, "m2")
    assert there.health(made) is Health.UNHEALTHY
    with pytest.raises(UpstreamError):
        there.roll_back(before, "m3")
    assert there.find(NEW, "m2") == made  # nothing else was noted
    (folder / "docker" / "fails").unlink()
    assert there.health(there.roll_back(before, "m3")) is Health.HEALTHY


def test_without_a_daemon_nothing_is_done(folder: Path) -> None:
    (folder / "docker" / "down").touch()
    there = target(folder)
    with pytest.raises(Unreachable, match="daemon"):
        there.deploy(NEW, "m")
    assert not (folder / "release.env").exists()
    assert there.find(NEW, "m") is None


def test_what_was_cut_short_is_done_again(folder: Path) -> None:
    there = target(folder)
    there.deploy(OLD, "m1")
    (folder / "release.env").write_text(f"APP_COMMIT={NEW}\n")  # and then the process was killed
    assert there.find(NEW, "m2") is None
    assert there.current() == Release("m1", OLD)
    assert there.find(NEW, "m2") or there.deploy(NEW, "m2") == Release("m2", NEW)


def test_another_deployment_is_not_rolled_back(folder: Path) -> None:
    there = target(folder)
    made = there.deploy(OLD, "m1")
    there.deploy(NEW, "m2")
    with pytest.raises(DeployRefused, match="taken the place"):
        there.health(made)


def test_what_a_person_deployed_can_come_back(folder: Path) -> None:
    (folder / "release.env").write_text(f"APP_COMMIT={OLD}\n")
    assert target(folder).current() == Release(OLD, OLD)
    (folder / "release.env").write_text("APP_COMMIT=latest\n")
    assert target(folder).current() is None


@pytest.mark.parametrize("text", ["", "[1]", '{"marker": "m"}', "{" * 5000])
def test_a_spoiled_note_is_no_release(folder: Path, text: str) -> None:
    (folder / "release.json").write_text(text)
    with pytest.raises(DeployRefused, match="spoiled"):
        target(folder).current()


def test_output_that_is_no_list(folder: Path) -> None:
    there = target(folder)
    made = there.deploy(NEW, "m")
    (folder / "docker" / "ps").write_text("no JSON")
    with pytest.raises(UpstreamError):
        there.health(made)


def real() -> bool:
    """Whether there is a daemon, and Compose with it."""
    if shutil.which("docker") is None:
        return False
    words = (["docker", "compose", "version"], ["docker", "info"])
    return all(subprocess.run(each, capture_output=True, timeout=20).returncode == 0 for each in words)


@pytest.mark.docker
def test_with_the_real_one(tmp_path: Path) -> None:
    if not real():
        pytest.skip("NOT TESTED against Docker Compose: there is no `docker compose` with a daemon here")
    image = subprocess.run(
        ["docker", "images", "--format", "{{.ID}}"], capture_output=True, text=True, timeout=20
    ).stdout.split()
    if not image:
        pytest.skip("NOT TESTED against Docker Compose: the daemon has no image, and none is fetched")
    service = {
        "image": image[0],
        "command": ["sleep", "600"],
        "entrypoint": [],
        "labels": {"commit": "${APP_COMMIT:?}"},
    }
    (tmp_path / "compose.yaml").write_text(json.dumps({"services": {"web": service}}))
    project = f"zoran-test-{os.getpid()}"
    there = target(tmp_path, project=project)
    down = ["docker", "compose", "-p", project, "-f", str(tmp_path / "compose.yaml"), "down", "-t", "0"]
    try:
        first = there.deploy(OLD, "m1")
        assert there.health(first) is Health.HEALTHY
        assert there.health(there.deploy(NEW, "m2")) is Health.HEALTHY
        assert there.health(there.roll_back(first, "m3")) is Health.HEALTHY
    finally:
        subprocess.run(down, env={**os.environ, "APP_COMMIT": OLD}, timeout=60)
