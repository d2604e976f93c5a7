"""Docker as the tests of the images use it: its client, a container that surely goes, a question to it."""

import contextlib
import json
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = "ZORAN_TEST_IMAGE"
"""Names an image that was built (`scripts/image.sh cpu TAG`); what is tested is then this one."""
HEALTHY_S = 240.0
# As in docker-compose.yml.
HARDENED = (
    *("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true", "--init"),
    "--tmpfs=/tmp:rw,exec,nosuid,nodev,size=4g,mode=1777",
    "--tmpfs=/home/zoran:rw,exec,nosuid,nodev,size=4g,mode=0700,uid=10001,gid=10001",
    *("--shm-size=1g", "--memory=8g", "--pids-limit=32768"),
)

_ASK = """
import sys, urllib.error, urllib.request as r
request = r.Request(sys.argv[1], sys.argv[3].encode() or None, {"Authorization": "Bearer " + sys.argv[2],
    "Content-Type": "application/json"})
try:
    answer = r.build_opener(r.ProxyHandler({})).open(request, timeout=100)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, answer.read().decode())
"""


def docker(*words: str, timeout_s: float = 120.0, check: bool = True) -> str:
    """What the client prints; with `check`, an `AssertionError` holds what it says against it."""
    done = subprocess.run(
        ["docker", *words], capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout + (done.stderr if not check else "")


def require_docker() -> None:
    """Skip, and say why, where no daemon answers."""
    try:
        answers = subprocess.run(["docker", "version"], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        answers = None
    if answers is None or answers.returncode:
        pytest.skip("NO DOCKER, so the images are NOT tried")


def compose_words() -> list[str]:
    """How Compose is called here: a program beside Python or in PATH, or the plugin; empty: none."""
    beside = Path(sys.executable).with_name("docker-compose")
    if program := shutil.which(beside) or shutil.which("docker-compose"):
        return [program]
    try:
        plugin = subprocess.run(
            ["docker", "compose", "version"], capture_output=True, timeout=30, check=False
        )
    except OSError:
        return []
    return [] if plugin.returncode else ["docker", "compose"]


def has_bridge() -> bool:
    """Whether containers of this daemon can have a network, so that their ports can be published."""
    return "bridge" in docker("network", "ls", "--format", "{{.Name}}").split()


@contextlib.contextmanager
def container(*words: str) -> Iterator[str]:
    """The name of a container that runs as `docker run` is told, until it is left."""
    name = f"zoran-test-{secrets.token_hex(4)}"
    try:
        docker("run", "--detach", "--name", name, *words)
        yield name
    finally:
        docker("rm", "--force", "--volumes", name, check=False)


@contextlib.contextmanager
def volume() -> Iterator[str]:
    """The name of a volume of its own."""
    name = docker("volume", "create").strip()
    try:
        yield name
    finally:
        docker("volume", "rm", "--force", name, check=False)


def await_healthy(name: str, within_s: float = HEALTHY_S) -> float:
    """Seconds until the container's own health check said so; fails with its log."""
    began = time.monotonic()
    while time.monotonic() - began < within_s:
        state: dict[str, Any] = json.loads(docker("inspect", "--format", "{{json .State}}", name))
        if state.get("Health", {}).get("Status") == "healthy":
            return time.monotonic() - began
        if not state["Running"]:
            break
        time.sleep(1.0)
    pytest.fail(f"{name} did not become healthy:\n{logs(name)}")


def logs(name: str) -> str:
    """The end of what the container said."""
    return docker("logs", "--tail=60", name, check=False)


def ask(name: str, key: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    """Status and answer of the endpoint: through its published port, or inside where none can be."""
    published = docker("port", name, "8080/tcp", check=False).split() if has_bridge() else []
    port = re.fullmatch(r"127\.0\.0\.1:([0-9]+)", published[0]) if published else None
    url = f"http://127.0.0.1:{port[1] if port else 8080}{path}"
    argv = ["-c", _ASK, url, key, json.dumps(body) if body else ""]
    command = ["python3", *argv] if port else ["docker", "exec", name, "python", *argv]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    status, _, text = done.stdout.partition(" ")
    return int(status), json.loads(text)
