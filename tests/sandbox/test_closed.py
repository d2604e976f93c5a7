"""Without a daemon, or without an image, nothing is run."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import pytest

from zoran_ray.errors import InvalidRequest, Overloaded, SandboxUnavailable
from zoran_ray.sandbox import Backend, Job, JobRequest, Limits, Sandbox, backend_of
from zoran_ray.sandbox.admission import Admission
from zoran_ray.sandbox.container import container_config
from zoran_ray.sandbox.daemon import missing_controls
from zoran_ray.sandbox.labels import Labels
from zoran_ray.settings import SandboxSettings

DIGEST = "sha256:" + "0" * 64
GOOD = {
    "MemoryLimit": True,
    "PidsLimit": True,
    "CpuCfsQuota": True,
    "SecurityOptions": ["name=seccomp,profile=x"],
}


def test_no_daemon_says_what_was_tried(tmp_path: Path) -> None:
    job = Job(Backend("a" * 32, DIGEST, f"unix://{tmp_path}/none.sock"), JobRequest({}, ("true",), 1.0))
    with pytest.raises(SandboxUnavailable, match=r"none\.sock \(No such file or directory\)"):
        job.run()


async def test_no_daemon_leaves_its_slot_free(tmp_path: Path) -> None:
    sandbox = Sandbox(Backend("a" * 32, DIGEST, f"unix://{tmp_path}/none.sock"), slots=1, waiting=0)
    for _ in range(3):
        with pytest.raises(SandboxUnavailable):
            await sandbox.run({}, ["true"], timeout_s=1.0)
    sandbox.close()


def test_more_than_may_wait_are_refused_and_places_come_back() -> None:
    admission = Admission(2)
    with admission.one(), admission.one():
        with pytest.raises(Overloaded) as refused, admission.one():
            pass
        assert refused.value.retry_after_s
    with admission.one(), pytest.raises(ZeroDivisionError), admission.one():
        raise ZeroDivisionError
    with admission.one(), admission.one():
        pass


def test_who_imports_the_sandbox_needs_no_docker() -> None:
    program = (
        "import sys\nsys.modules['docker'] = None\nimport zoran_ray.sandbox\n"
        "assert not {'requests', 'urllib3', 'ray'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_no_image_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="zoran sandbox build"):
        backend_of(SandboxSettings(), tmp_path)
    assert backend_of(SandboxSettings(image=DIGEST), tmp_path).image == DIGEST


@pytest.mark.parametrize("argv", [(), ("",), ("a\0b",), ("x" * 70_000,)])
def test_improper_arguments_are_refused_before_any_daemon(argv: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        Job(Backend("a" * 32, DIGEST, f"unix://{tmp_path}/none.sock"), JobRequest({}, argv, 1.0)).run()


@pytest.mark.parametrize(
    ("change", "runtime", "missing"),
    [
        ({}, None, []),
        ({"MemoryLimit": False}, None, ["a memory limit"]),
        ({"SecurityOptions": None}, None, ["a filter of system calls (seccomp)"]),
        ({}, "runsc", ["the runtime runsc"]),
        ({"SecurityOptions": None, "Runtimes": {"runsc": {}}}, "runsc", []),
    ],
)
def test_a_daemon_that_cannot_hold_a_job_in_is_refused(
    change: dict[str, Any], runtime: str | None, missing: list[str]
) -> None:
    assert missing_controls(GOOD | change, runtime) == missing


def test_the_container_is_asked_for_with_every_bound() -> None:
    api = docker.APIClient(base_url="tcp://127.0.0.1:1", version="1.41")
    limits = Limits(environment={"LANG": "C"})
    labels = Labels("a" * 32, "j", 0, 1)
    body = container_config(api, Backend("a" * 32, DIGEST, runtime="runsc"), limits, labels, 90.0)
    host = body["HostConfig"]
    assert body["Env"] == ["LANG=C"]
    assert body["StdinOnce"]
    assert body["Cmd"][:4] == ["timeout", "-s", "KILL", "90"]
    assert body["User"] == "65533:65533"
    assert (host["NetworkMode"], host["ReadonlyRootfs"]) == ("none", True)
    assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges:true"])
    assert host["Memory"] == host["MemorySwap"] == limits.memory_bytes
    assert (host["PidsLimit"], host["NanoCpus"]) == (128, 1_000_000_000)
    assert not host.get("Binds")
    assert not host.get("Mounts")
    assert host["Runtime"] == "runsc"
    assert all({"nosuid", "nodev"} <= set(options.split(",")) for options in host["Tmpfs"].values())
    assert host["LogConfig"]["Type"] == "none"
    api.close()
