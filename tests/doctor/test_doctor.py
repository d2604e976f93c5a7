import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any

import psutil
import pytest

from zoran_ray.access import KeyStore
from zoran_ray.control import ServerRecord, write_record
from zoran_ray.doctor import Check, Subject, TorchReport, examine, machine, network, software, state
from zoran_ray.models_file import ModelSpec
from zoran_ray.offers import ArmSpec
from zoran_ray.settings import Settings

TORCH = TorchReport("2.13.0+cpu")
ARM = ArmSpec(
    name="openai/a",
    provider="openai",
    upstream="a",
    context_tokens=9,
    data_goes="us",
    usd_per_million_input=1,
    usd_per_million_output=1,
)
POCKET = (ModelSpec(name="pocket"),)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    settings = Settings(state_dir=tmp_path / "state")
    settings.state_dir.mkdir(mode=0o700)
    return Subject(settings, POCKET, {}, tmp_path / "home", TORCH)


def told(subject: Subject, **fields: Any) -> Subject:
    """The subject with other settings, `server__port` standing for `server.port`."""
    data = subject.settings.model_dump()
    for name, value in fields.items():
        section, _, field = name.partition("__")
        data[section][field] = value
    return replace(subject, settings=Settings.model_validate(data))


def test_all_checks_have_a_name_and_say_what_to_do(tmp_path: Path) -> None:
    checks = examine({}, {"HOME": str(tmp_path)}, tmp_path, lambda: TORCH)
    assert len({check.name for check in checks}) == len(checks) >= 15
    assert all(check.found for check in checks)
    assert all(
        check.todo or check.name in ("configuration", "keys")
        for check in checks
        if check.status in ("warn", "fail")
    )


def test_a_bad_configuration_is_one_failed_check(tmp_path: Path) -> None:
    (tmp_path / "zoran.yaml").write_text("prot: 1")
    first, *others = examine({}, {"HOME": str(tmp_path)}, tmp_path, lambda: TORCH)
    assert first.status == "fail"
    assert "zoran.yaml:1: prot" in first.found
    assert others


# -- software


def test_this_installation(subject: Subject) -> None:
    for check in (software.python, software.ray, software.haproxy):
        assert check(subject).status in ("ok", "warn")


def test_torch_that_does_not_work(subject: Subject) -> None:
    broken = replace(
        subject, torch=TorchReport("2.13.0+cpu", torchvision_error="torchvision::nms does not exist")
    )
    assert software.torch(broken).status == "fail"
    assert "uninstall torchvision" in software.torch(broken).todo
    missing = software.torch(replace(subject, torch=TorchReport(error="No module named 'torch'")))
    assert missing.status in ("fail", "skip")
    assert software.torch(subject) == Check("torch", "ok", "2.13.0+cpu")


# -- machine


def test_memory_for_the_models(subject: Subject) -> None:
    greedy = ModelSpec(name="big", engine_args={"gpu_memory_utilization": 5})
    check = machine.memory(replace(subject, models=(*POCKET, greedy)))
    if "cpu" in software.vllm(subject).found:
        assert check.status == "fail"
        assert "big 500%" in check.found
    elsewhere = ModelSpec(
        name="far", source="http://127.0.0.1:1", engine_args={"gpu_memory_utilization": 5}
    )
    assert machine.memory(replace(subject, models=(elsewhere,))).status == "ok"


def test_the_limit_of_a_container_counts(tmp_path: Path) -> None:
    whole = psutil.virtual_memory().total
    assert machine.memory_bytes(tmp_path)[0] == whole
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert machine.memory_bytes(tmp_path)[0] == whole
    (tmp_path / "memory.max").write_text("1000\n")
    assert machine.memory_bytes(tmp_path) == (1000, 600)


def test_shared_memory(subject: Subject) -> None:
    assert machine.shared_memory(told(subject, cluster__object_store_bytes=2**60)).status in (
        "warn",
        "skip",
    )
    assert machine.shared_memory(told(subject, cluster__address="10.0.0.1:6379")).status == "skip"


def test_docker_without_a_daemon(subject: Subject, tmp_path: Path) -> None:
    for host in (f"unix://{tmp_path}/none.sock", "tcp://127.0.0.1:9", "nonsense", "unix://"):
        check = machine.docker(replace(subject, env={"DOCKER_HOST": host}))
        assert check.status == "warn"
        assert check.todo


def test_docker_with_a_daemon(subject: Subject, tmp_path: Path) -> None:
    class Daemon(BaseHTTPRequestHandler):
        def address_string(self) -> str:
            return "unix"

        def log_message(self, format: str, *args: Any) -> None: ...

        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/_ping" else 404)
            self.end_headers()

    with UnixStreamServer(str(tmp_path / "docker.sock"), Daemon) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        check = machine.docker(replace(subject, env={"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"}))
        server.shutdown()
        thread.join()
    assert check.status == "ok"


# -- network


@pytest.fixture
def listener() -> Iterator[Callable[[str], int]]:
    opened: list[socket.socket] = []

    def listen(host: str) -> int:
        opened.append(socket.create_server((host, 0)))
        port: int = opened[-1].getsockname()[1]
        return port

    yield listen
    for each in opened:
        each.close()


def test_the_port(subject: Subject, listener: Callable[[str], int]) -> None:
    port = listener("127.0.0.1")
    taken = told(subject, server__port=port)
    assert network.port(taken).status == "fail"
    assert "--port" in network.port(taken).todo
    write_record(subject.settings.state_dir, _me(port))
    assert network.port(taken).status == "ok"
    assert network.port(told(subject, server__host="192.0.2.1")).status == "fail"
    assert network.port(told(subject, server__host="no such host")).status == "fail"


def _me(port: int) -> ServerRecord:
    return ServerRecord(os.getpid(), psutil.Process().create_time(), f"http://127.0.0.1:{port}", 0.0)


def test_addresses_of_a_running_server(subject: Subject, listener: Callable[[str], int]) -> None:
    assert network.addresses(subject).status == "skip"
    inside = listener("127.0.0.1")
    write_record(subject.settings.state_dir, _me(inside))
    assert network.addresses(subject).status == "ok"
    outside = listener("0.0.0.0")
    check = network.addresses(subject)
    assert check.status == "warn"
    assert f"0.0.0.0:{outside}" in check.found
    assert f":{inside} " not in check.found


def test_the_token_of_a_cluster(subject: Subject, tmp_path: Path) -> None:
    remote = told(subject, cluster__address="10.0.0.1:6379")
    token = tmp_path / "home/.ray/auth_token"

    def status(subject: Subject) -> str:
        return network._cluster_token(subject).status

    assert status(remote) == "fail"
    assert status(replace(remote, env={"RAY_AUTH_TOKEN": "t"})) == "ok"
    token.parent.mkdir(parents=True)
    token.touch(mode=0o644)
    assert status(remote) == "warn"
    token.chmod(0o600)
    assert status(remote) == "ok"


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes by the name of their executable")
def test_a_ray_head_without_authentication(subject: Subject, tmp_path: Path) -> None:
    sleep = shutil.which("sleep")
    assert sleep is not None
    fake = shutil.copy(sleep, tmp_path / "gcs_server")
    env = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_MODE"}
    bare = subprocess.Popen([fake, "60"], env=env)
    guarded = subprocess.Popen([fake, "60"], env={**env, "RAY_AUTH_MODE": "token"})
    try:
        check = network.ray_authentication(subject)
    finally:
        for each in (bare, guarded):
            each.kill()
            each.wait()
    assert check.status == "fail"
    assert str(bare.pid) in check.found
    assert str(guarded.pid) not in check.found
    assert "RAY_AUTH_MODE=token" in check.todo


# -- state


def test_the_state_directory(subject: Subject, tmp_path: Path) -> None:
    folder = subject.settings.state_dir
    assert state.state_dir(subject).status == "ok"
    folder.chmod(0o755)
    assert state.state_dir(subject).todo == f"Run: chmod 700 {folder}"
    folder.rmdir()
    assert "will be made" in state.state_dir(subject).found
    folder.touch()
    assert state.state_dir(subject).status == "fail"


def test_keys(subject: Subject) -> None:
    path = subject.settings.state_dir / "keys.sqlite"
    public = told(subject, server__host="0.0.0.0")
    assert state.keys(subject).status == "ok"
    assert state.keys(public).status == "fail"
    KeyStore(path, lambda: 0.0).create("a")
    assert state.keys(public) == Check("keys", "ok", "1 valid")
    path.chmod(0o644)
    check = state.keys(subject)
    assert check.status == "fail"
    assert "chmod 600" in check.found


def test_models(subject: Subject, tmp_path: Path) -> None:
    def check(*sources: str) -> Check:
        specs = tuple(ModelSpec(name=f"m{index}", source=source) for index, source in enumerate(sources))
        return state.models(replace(subject, models=specs))

    folder = tmp_path / "weights"
    assert "does not exist" in check(str(folder)).found
    folder.mkdir()
    assert f"cannot read {folder}/config.json" in check(str(folder)).found
    (folder / "config.json").write_text("{}")
    assert check(str(folder), "o/r", "http://127.0.0.1:1").found == (
        "m0, m1 (from the hub, at first use), m2 (served by http://127.0.0.1:1)"
    )


def test_no_model_at_all(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "installed_build", lambda: None)
    assert software.vllm(subject).status == "fail"
    bare = replace(subject, models=(), arms=(ARM,))
    assert software.vllm(bare).status == "skip"
    assert state.models(bare) == Check("models", "ok", "none; nothing is loaded here")
    # Nothing is known of a configuration that cannot be read.
    assert software.vllm(replace(subject, models=())).status == "fail"


def test_keys_of_arms(subject: Subject, tmp_path: Path) -> None:
    assert state.arms(subject) == Check("arms", "ok", "none")
    key = tmp_path / "key"
    other = ARM.model_copy(update={"name": "openai/b"})
    filed = ARM.model_copy(update={"name": "openai/c", "api_key_file": str(key)})
    lacking = state.arms(replace(subject, arms=(ARM, other, filed)))
    assert lacking.status == "warn"
    assert "openai/a, openai/b: The environment variable OPENAI_API_KEY is not set" in lacking.found
    assert f"openai/c: The key file {key} cannot be read" in lacking.found
    key.write_text("sk-canary")
    found = state.arms(replace(subject, arms=(ARM, filed), env={"OPENAI_API_KEY": "sk-canary"}))
    assert found == Check("arms", "ok", "openai/a, openai/c")


# -- the command


def test_the_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from zoran_ray.cli import main; main()", "doctor", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "ZORAN_SERVER__HOST": "0.0.0.0"},
    )
    said = json.loads(done.stdout)
    assert (done.returncode, said["ok"]) == (1, False)
    checks = {check["name"]: check for check in said["checks"]}
    assert checks["keys"]["status"] == "fail"
    assert checks["torch"]["found"]
