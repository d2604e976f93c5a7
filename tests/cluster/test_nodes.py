"""`zoran cluster`: what it prints, what it refuses before anything is started, how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from zoran_ray.cli.app import app
from zoran_ray.cli.node import _side_by_side, await_endpoint
from zoran_ray.errors import ConfigError, Unreachable, ZoranError
from zoran_ray.ray_start import (
    Endpoint,
    NodeSize,
    endpoint,
    head_argv,
    join_argv,
    node_variables,
)

TOKEN = "9f" + "3ab1c07e" * 8


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "ray_token"
    path.write_text(TOKEN)
    return path


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _run(*args: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["cluster", *args], env={"HOME": "/nonexistent", "NO_COLOR": "1"})
    return done.exit_code, done.output


def test_render_and_check(root: Path) -> None:
    profile = str(root / "configs/profiles/cluster.yaml")
    status, text = _run("render", profile, "--to", "helm")
    assert status == 0
    assert yaml.safe_load(text)["secrets"]["rayToken"] == "zoran-ray-token"
    assert _run("check", profile, "--to", "helm") == (0, "All is well.\n")
    status, text = _run("check", profile, "--json")
    assert (status, json.loads(text)) == (0, {"ok": True})


def test_a_contradiction_renders_nothing(root: Path) -> None:
    status, text = _run("render", str(root / "configs/profiles/cluster.yaml"), "--to", "compose")
    assert status == 3
    assert "Compose has one machine" in text
    assert "ZORAN_IMAGE" not in text


def test_the_example_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "redis_password").write_text("CHANGE_ME")
    status, text = _run("check", "--env", str(root / ".env.example"), "--secrets", str(tmp_path))
    assert status == 3
    assert text.count("placeholder") == 3


def test_check_wants_something_to_check() -> None:
    assert _run("check")[0] == 2


@pytest.mark.parametrize("command", [("join", "127.0.0.1:1"), ("head",)])
def test_no_node_without_a_token(command: tuple[str, ...], tmp_path: Path) -> None:
    status, text = _run(*command, "--token-file", str(tmp_path / "none"))
    assert status == 3
    assert "openssl rand -hex 32" in text


def test_a_head_that_cannot_be_reached(token: Path, closed_port: int) -> None:
    status, text = _run("join", f"127.0.0.1:{closed_port}", "--token-file", str(token), "--wait", "1")
    assert status == 4
    assert "Nothing answers" in text
    assert TOKEN not in text


def test_redis_is_not_used_without_a_password(token: Path) -> None:
    status, text = _run("head", "--redis", "127.0.0.1:1", "--token-file", str(token))
    assert status == 3
    assert "belong together" in text


def test_the_environment_can_be_read_by_a_shell(tmp_path: Path) -> None:
    status, text = _run("environment", "--run-dir", str(tmp_path))
    assert status == 0
    done = subprocess.run(
        ["sh", "-c", f"{text}\nenv"], capture_output=True, text=True, timeout=10, check=True, env={}
    )
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert found["RAY_AUTH_MODE"] == "token"
    assert found["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert os.access(found["RAY_SERVE_HAPROXY_BINARY_PATH"], os.X_OK)
    assert Path(found["ZORAN_HAPROXY_BINARY"]).is_file()
    assert found["ZORAN_HAPROXY_FAR_GATEWAYS"], (
        "gateways of other nodes may be lost in the middle of an answer"
    )


@pytest.mark.parametrize(
    "text", ["head", "head:", "head:0", "head:65536", ":1", "a b:1", "-x:1", "head:1;ls"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigError, match="host and a port"):
        endpoint(text)


def test_addresses() -> None:
    assert endpoint("head.internal:6379") == Endpoint("head.internal", 6379)
    assert str(endpoint("[::1]:6379")) == "[::1]:6379"


def test_commands_hold_no_token(token: Path) -> None:
    size = NodeSize(None, 2, 1 << 30)
    for argv in (head_argv("python", 6379, size, None), join_argv("python", Endpoint("head", 6379), size)):
        assert "--block" in argv
        assert "--num-gpus=2" in argv
        assert not any("num-cpus" in each or TOKEN in each for each in argv)


def test_the_token_goes_by_its_file_alone(token: Path) -> None:
    given = {"RAY_AUTH_TOKEN": "another", "PATH": "/bin"}
    found = node_variables(given, {"RAY_AUTH_MODE": "token"}, token, Endpoint("redis", 6379))
    assert "RAY_AUTH_TOKEN" not in found
    assert found["RAY_AUTH_TOKEN_PATH"] == str(token)
    assert found["RAY_REDIS_ADDRESS"] == "redis:6379"
    assert found["PATH"] == "/bin"


def test_something_listens(listening: int) -> None:
    await_endpoint(Endpoint("127.0.0.1", listening), 5)


def test_nothing_listens(closed_port: int) -> None:
    with pytest.raises(Unreachable, match="firewall"):
        await_endpoint(Endpoint("127.0.0.1", closed_port), 0.3)


def _sleeper(tmp_path: Path, name: str, rest: str = "time.sleep(60)") -> list[str]:
    told = f"pathlib.Path({str(tmp_path / name)!r}).write_text(str(os.getpid()))"
    return [sys.executable, "-c", f"import os, pathlib, time; {told}; {rest}"]


def _pid(path: Path) -> int:
    for _ in range(200):
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.05)
    raise AssertionError(f"{path.name} was not started")


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_head_that_ends_takes_the_server_along(tmp_path: Path, listening: int) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        waits = f"p = pathlib.Path({str(tmp_path / 'serve')!r})\nwhile not p.exists(): time.sleep(0.05)"
        ray = [*_sleeper(tmp_path, "ray")[:2], f"import pathlib, time\n{waits}\nraise SystemExit(7)"]
        serve = _sleeper(tmp_path, "serve")
        at = Endpoint("127.0.0.1", listening)
        assert _side_by_side(ray, serve, dict(os.environ), at, 5) == 7
        assert _gone(_pid(tmp_path / "serve"))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def test_a_server_without_ray_is_not_waited_for(
    tmp_path: Path, listening: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would try for long to end in order what is gone; until then there is no new head."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setattr("zoran_ray.cli.node._LOST_S", 0.2)
    try:
        deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
        serve = _sleeper(tmp_path, "serve", deaf)
        waits = f"p = pathlib.Path({str(tmp_path / 'serve')!r})\nwhile not p.exists(): time.sleep(0.05)"
        ray = [sys.executable, "-c", f"import pathlib, time\n{waits}\nraise SystemExit(7)"]
        assert _side_by_side(ray, serve, dict(os.environ), Endpoint("127.0.0.1", listening), 5) == 7
        assert _gone(_pid(tmp_path / "serve"))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def test_a_head_that_does_not_start_starts_no_server(tmp_path: Path, closed_port: int) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with pytest.raises(ZoranError, match="ended with status 3"):
            _side_by_side(
                [sys.executable, "-c", "raise SystemExit(3)"],
                _sleeper(tmp_path, "serve"),
                dict(os.environ),
                Endpoint("127.0.0.1", closed_port),
                20,
            )
        assert not (tmp_path / "serve").exists()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
