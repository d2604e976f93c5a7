"""`docker-compose.yml` as Compose itself starts it: healthy, answering, closed; not on placeholders.

Needs the image (`ZORAN_TEST_IMAGE`), Redis and Prometheus (`ZORAN_TEST_REDIS` and `ZORAN_TEST_PROMETHEUS`
name other images than the file does), Compose, and a daemon whose containers have networks:
`scripts/try-images.sh` sees to all of it.
"""

import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import pytest

from tests.cluster.containers import (
    IMAGE,
    ROOT,
    ask,
    compose_words,
    docker,
    has_bridge,
    logs,
    require_docker,
)
from tests.waiting import until
from zoran_ray.cluster_config import compose_env, read_profile

pytestmark = [pytest.mark.docker, pytest.mark.release, pytest.mark.timeout(900)]

STAND_INS = {"redis": "ZORAN_TEST_REDIS", "prometheus": "ZORAN_TEST_PROMETHEUS"}
UP_S = 300.0
_NAMES = ("ray_token", "redis_password", "metrics_key", "grafana_password")


@dataclass(frozen=True)
class Project:
    """A Compose project of its own: its name, its `.env`, its override for images that stand in."""

    name: str
    env: Path
    override: Path

    def run(self, *words: str, timeout_s: float = 120.0) -> "subprocess.CompletedProcess[str]":
        files = ["--project-directory", str(ROOT), "--file", str(ROOT / "docker-compose.yml")]
        files += ["--file", str(self.override), "--env-file", str(self.env)]
        return subprocess.run(
            [*compose_words(), "--project-name", self.name, *files, *words],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def containers(self, *, running: bool = True) -> dict[str, str]:
        """Name of the container by service."""
        words = ["ps", "--format", '{{.Label "com.docker.compose.service"}} {{.Names}}']
        words += ["--filter", f"label=com.docker.compose.project={self.name}"]
        lines = docker(*words, *([] if running else ["--all"])).splitlines()
        return dict(line.split() for line in lines)

    def down(self) -> None:
        self.run("--profile", "*", "down", "--volumes", "--timeout", "60", timeout_s=240)

    def start(self, *words: str) -> None:
        """`up`, of some services or of all that belong to no profile."""
        started = self.run(*words, timeout_s=UP_S)
        assert started.returncode == 0, started.stderr


def _project(folder: Path, env: str, **told: str) -> Project:
    (folder / "secrets").mkdir()
    for name in _NAMES:
        (folder / "secrets" / name).write_text(told.get(name, secrets.token_hex(32)))
    services = {name: {"image": os.environ[held]} for name, held in STAND_INS.items() if held in os.environ}
    (folder / "override.json").write_text(json.dumps({"services": services}))
    (folder / "env").write_text(env)
    return Project(f"zoran-test-{secrets.token_hex(4)}", folder / "env", folder / "override.json")


def _env(folder: Path) -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    text = compose_env(
        read_profile(ROOT / "configs/profiles/laptop.yaml"), PurePosixPath(folder, "secrets")
    )
    lines = (line for line in text.splitlines() if not line.startswith(("ZORAN_IMAGE=", "ZORAN_PORT=")))
    # Docker refuses more cores than there are.
    worker = f"ZORAN_CPU_WORKER_CPUS={min(4, os.cpu_count() or 1)}"
    return "\n".join((*lines, f"ZORAN_IMAGE={os.environ[IMAGE]}", f"ZORAN_PORT={port}", worker, ""))


@pytest.fixture(scope="module", autouse=True)
def _needed() -> None:
    require_docker()
    missing = [
        *([] if os.environ.get(IMAGE) else [f"no image ({IMAGE})"]),
        *([] if compose_words() else ["no Docker Compose"]),
        *([] if has_bridge() else ["the daemon has no bridge"]),
    ]
    if missing:
        pytest.skip(
            f"THE COMPOSE STACK IS NOT STARTED: {', '.join(missing)}; scripts/try-images.sh does it"
        )


@dataclass(frozen=True)
class Up:
    """The stack that runs, and a key to it."""

    project: Project
    key: str


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """As README says: a key first, then everything."""
    folder = tmp_path_factory.mktemp("stack")
    project = _project(folder, _env(folder))
    try:
        made = project.run("run", "--rm", "-T", "--no-deps", "gateway", "zoran", "keys", "create", "me")
        assert made.returncode == 0, made.stderr
        project.start("up", "--detach")
        _await_healthy(project, "gateway", "redis")
        yield Up(project, made.stdout.split()[-1])
    finally:
        project.down()


def _await_healthy(project: Project, *services: str) -> None:
    late = time.monotonic() + UP_S
    while time.monotonic() < late:
        found = project.containers()
        states = docker("inspect", "--format", "{{.State.Health.Status}}", *found.values()).split()
        if set(found) >= set(services) and set(states) == {"healthy"}:
            return
        time.sleep(1.0)
    pytest.fail(f"not healthy: {found} {states}\n{project.run('logs', '--tail=80').stdout}")


def _reaches(network: str, host: str, port: int) -> bool:
    """Whether a stranger's container on `network` can connect."""
    program = f"import socket; socket.create_connection(({host!r}, {port}), timeout=3)"
    words = ["run", "--rm", f"--network={network}", "--entrypoint=python", os.environ[IMAGE], "-c", program]
    return subprocess.run(["docker", *words], capture_output=True, timeout=60, check=False).returncode == 0


def _address(container: str, network: str) -> str:
    return docker(
        "inspect", "--format", f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}', container
    ).strip()


def test_the_example_starts_nothing(tmp_path: Path) -> None:
    project = _project(tmp_path, (ROOT / ".env.example").read_text())
    try:
        assert project.run("up", "--detach").returncode != 0
        assert project.containers(running=False) == {}
    finally:
        project.down()


def test_the_example_with_an_image_starts_nothing(tmp_path: Path) -> None:
    text = (ROOT / ".env.example").read_text()
    image = os.environ[IMAGE]
    project = _project(tmp_path, text.replace("ZORAN_IMAGE=CHANGE_ME", f"ZORAN_IMAGE={image}"))
    try:
        done = project.run("up", "--detach")
        assert done.returncode != 0
        assert "CHANGE_ME" in done.stderr
        assert project.containers() == {}
    finally:
        project.down()


def test_placeholders_in_secrets_start_nothing(tmp_path: Path) -> None:
    project = _project(tmp_path, _env(tmp_path), ray_token="CHANGE_ME")
    try:
        assert project.run("up", "--detach").returncode != 0
        assert project.containers() == {}
        told = project.run("logs", "--no-log-prefix", "check").stdout
        assert "ray_token still holds a placeholder" in " ".join(told.split())
    finally:
        project.down()


def test_it_answers_through_the_published_port(up: Up) -> None:
    name = up.project.containers()["gateway"]
    status, models = ask(name, up.key, "/v1/models")
    assert status == 200
    local = next(each["id"] for each in models["data"] if each["id"].startswith("local/"))
    body = {"model": local, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8}
    status, answer = ask(name, up.key, "/v1/chat/completions", body)
    assert status == 200, f"{answer}\n{logs(name)}"
    assert answer["usage"]["completion_tokens"] > 0
    assert ask(name, "zr-wrong", "/v1/models")[0] == 401


def test_one_port_is_published_on_loopback(up: Up) -> None:
    for service, name in up.project.containers().items():
        ports = docker("port", name).split()
        assert all(each.startswith("127.0.0.1:") for each in ports[2::3]), ports
        assert len(ports) == (3 if service == "gateway" else 0), (service, ports)


def test_redis_and_ray_are_for_those_who_need_them(up: Up) -> None:
    project = up.project
    found = project.containers()
    redis = _address(found["redis"], f"{project.name}_gcs")
    ray = _address(found["gateway"], f"{project.name}_edge")
    assert _reaches(f"{project.name}_gcs", redis, 6379)
    for network in ("bridge", f"{project.name}_edge", f"{project.name}_vectors"):
        assert not _reaches(network, redis, 6379), network
    assert not _reaches("bridge", ray, 6379)
    assert _reaches(f"{project.name}_edge", ray, 6379)


def test_redis_wants_its_password_and_holds_the_cluster(up: Up) -> None:
    redis = up.project.containers()["redis"]
    assert "NOAUTH" in docker("exec", redis, "redis-cli", "dbsize")
    command = 'REDISCLI_AUTH="$(cat /run/secrets/redis_password)" redis-cli dbsize'
    assert int(docker("exec", redis, "sh", "-c", command).split()[-1]) > 0


def test_a_worker_joins_and_holds_the_second_copy_of_the_memory(up: Up) -> None:
    """The profile `cpu`."""
    up.project.start("--profile", "cpu", "up", "--detach", "worker-cpu")
    _await_healthy(up.project, "worker-cpu")
    found = up.project.containers()
    text = "the second copy is on the worker"
    draft = {"subject": "worker", "text": text, "purpose": "knowledge", "layer": "long"}
    until("it is kept", lambda: ask(found["gateway"], up.key, "/v1/memory", draft)[0] == 200, UP_S, 1.0)
    for service in ("gateway", "worker-cpu"):
        grep = ("exec", found[service], "grep", "-rlaF", text, "/var/lib/zoran/memory")
        until(f"{service} has it", lambda: docker(*grep, check=False).startswith("/var"), UP_S, 1.0)  # noqa: B023


def test_prometheus_reads_what_its_key_lets_it(up: Up) -> None:
    """The profile `watch`; Grafana, for which nothing stands in, is not started."""
    made = docker("exec", up.project.containers()["gateway"], "zoran", "keys", "create", "prometheus")
    up.project.env.with_name("secrets").joinpath("metrics_key").write_text(made.split()[-1])
    up.project.start("--profile", "watch", "up", "--detach", "prometheus")
    name = up.project.containers()["prometheus"]
    until("it has asked", lambda: _queried(name, 'up{job="zoran"}') == ["1"], UP_S, 1.0)
    assert _queried(name, "count(zoran_requests_total) > 0"), "what the tests before this one asked"
    rules = json.loads(docker("exec", name, "wget", "-qO-", "http://127.0.0.1:9090/api/v1/rules"))
    assert rules["data"]["groups"]
    assert not _reaches(f"{up.project.name}_edge", _address(name, f"{up.project.name}_metrics"), 9090)


def _queried(prometheus: str, expression: str) -> list[str]:
    url = f"http://127.0.0.1:9090/api/v1/query?query={quote(expression)}"
    answer = docker("exec", prometheus, "wget", "-qO-", url, check=False)
    return [each["value"][1] for each in json.loads(answer)["data"]["result"]] if answer[:1] == "{" else []


def test_no_secret_is_told(up: Up) -> None:
    folder = up.project.env.with_name("secrets")
    told = up.project.run("logs").stdout + docker("inspect", *up.project.containers().values())
    for name in ("ray_token", "redis_password"):
        assert (folder / name).read_text() not in told, name
    assert up.key not in told
