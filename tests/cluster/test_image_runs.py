"""The image as it runs: not as root, on a root that nobody can write, nothing to build with; it answers.

Without a built image (`ZORAN_TEST_IMAGE`) what is tried is what both targets of the Dockerfile stand on,
with the Python packages that are installed here: enough to know that nothing else is missing in it.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.cluster.containers import (
    HARDENED,
    IMAGE,
    ROOT,
    ask,
    await_healthy,
    container,
    docker,
    has_bridge,
    logs,
    require_docker,
    volume,
)

pytestmark = [pytest.mark.docker, pytest.mark.release, pytest.mark.timeout(900)]

_BUILD_S = 600
_RUNTIME = "zoran-runtime:test"
_OURS = ("zoran_ray", "actors", "serve_apps", "configs", "policy")


@dataclass(frozen=True)
class Image:
    """What is tried: its name, what `docker run` needs with it, and the program in it."""

    name: str
    words: tuple[str, ...]
    zoran: tuple[str, ...]


@pytest.fixture(scope="module")
def image() -> Image:
    require_docker()
    if name := os.environ.get(IMAGE):
        return Image(name, (), ("zoran",))
    done = subprocess.run(
        [ROOT / "scripts/image.sh", "runtime", _RUNTIME],
        capture_output=True,
        text=True,
        timeout=_BUILD_S,
        check=False,
        env=os.environ | {"PYTHON": sys.executable},
    )
    if "[base-image] no " in done.stderr or "no Docker client" in done.stderr:
        pytest.skip(f"THE IMAGE IS NOT TRIED: {done.stderr.strip().splitlines()[-2:]}")
    assert done.returncode == 0, done.stderr[-4000:]
    packages = Path(pytest.__file__).parents[1]
    mounts = [f"--volume={packages}:/opt/packages:ro"]
    mounts += [f"--volume={ROOT / each}:/opt/src/{each}:ro" for each in _OURS]
    return Image(
        _RUNTIME,
        (*mounts, "--env=PYTHONPATH=/opt/src:/opt/packages"),
        ("python", "-m", "zoran_ray.cli"),
    )


@dataclass(frozen=True)
class Served:
    """A container that serves, a key to it, and the seconds until it was healthy."""

    name: str
    key: str
    healthy_s: float


@pytest.fixture(scope="module")
def served(image: Image) -> Iterator[Served]:
    """`zoran serve` as docker-compose.yml confines it, on an address that asks for a key."""
    with ExitStack() as stack:
        state = f"--volume={stack.enter_context(volume())}:/var/lib/zoran"
        key = _once(image, *image.zoran, "keys", "create", "test", words=(state,)).split()[-1]
        network = "--publish=127.0.0.1::8080" if has_bridge() else "--network=none"
        words = (*HARDENED, *image.words, state, network, "--env=ZORAN_SERVER__HOST=0.0.0.0")
        name = stack.enter_context(container(*words, image.name, *image.zoran, "serve"))
        yield Served(name, key, await_healthy(name))


def _once(image: Image, *command: str, words: tuple[str, ...] = ()) -> str:
    """What a command prints in a container of its own that may reach nobody."""
    return docker("run", "--rm", "--network=none", *HARDENED, *image.words, *words, image.name, *command)


def test_it_knows_its_version(image: Image) -> None:
    assert re.search(r"\b0\.[0-9]+\.[0-9]+\b", _once(image, *image.zoran, "--version"))


def test_it_is_not_root(image: Image) -> None:
    assert _once(image, "sh", "-c", "id -u; id -g; id -G").split() == ["10001"] * 3


def test_nothing_to_build_with(image: Image) -> None:
    tools = "gcc g++ cc c++ clang make cmake ld as cargo nvcc pip pip3 uv"
    assert _once(image, "sh", "-c", f"for each in {tools}; do command -v $each || true; done") == ""
    bare = replace(image, words=())
    assert _once(bare, "sh", "-c", "find / -xdev -type d -name pip 2>/dev/null || true") == ""


def test_no_file_of_the_image_can_be_changed_by_who_runs_it(image: Image) -> None:
    """Not even if the root were not read-only; what may be written are the state and temporary folders."""
    found = _once(
        image,
        "sh",
        "-c",
        "find / -xdev \\( -type f -o -type d \\) -writable 2>/dev/null || true",
    )
    assert set(found.split()) <= {"/run/lock", "/var/lib/zoran", "/var/tmp", "/tmp", "/home/zoran"}


def test_its_history_tells_nothing_of_where_it_was_made(image: Image) -> None:
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image.name)
    assert "USER" in history
    assert re.findall(r"https?://(?!127\.0\.0\.1)[^\s'\"]+", history) == []


def test_it_answers(served: Served) -> None:
    status, models = ask(served.name, served.key, "/v1/models")
    assert status == 200
    local = next(each["id"] for each in models["data"] if each["id"].startswith("local/"))
    body = {"model": local, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8}
    status, answer = ask(served.name, served.key, "/v1/chat/completions", body)
    assert status == 200, f"{answer}\n{logs(served.name)}"
    assert answer["usage"]["completion_tokens"] > 0
    assert isinstance(answer["choices"][0]["message"]["content"], str)


def test_without_a_key_it_refuses(served: Served) -> None:
    assert ask(served.name, "zr-wrong", "/v1/models")[0] == 401


def test_it_runs_confined(served: Served) -> None:
    assert docker("exec", served.name, "sh", "-c", "touch /opt/x 2>&1 || true").strip().endswith("system")
    status = docker("exec", served.name, "cat", "/proc/self/status")
    assert re.search(r"(?m)^CapEff:\s+0+$", status)
    assert re.search(r"(?m)^CapBnd:\s+0+$", status)
    assert re.search(r"(?m)^NoNewPrivs:\s+1$", status)


def test_it_stops_when_it_is_asked_to(served: Served) -> None:
    """Last: the container is gone after it."""
    docker("stop", "-t", "90", served.name)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", served.name).strip() == "0"
