from pathlib import Path, PurePosixPath

import pytest

from zoran_ray.errors import ConfigError
from zoran_ray.sandbox.image import recorded
from zoran_ray.sandbox.image_files import distributions, gather


def test_a_package_brings_what_it_requires() -> None:
    assert {"pytest", "pluggy", "iniconfig", "packaging"} <= set(distributions(["pytest"]))


def test_a_package_that_is_not_here_is_told() -> None:
    with pytest.raises(ConfigError, match="no-such-package-here"):
        distributions(["no-such-package-here"])


def test_nothing_but_the_system_and_the_packages_is_taken() -> None:
    files = gather(["pytest"])
    targets = [str(one.target) for one in files]
    assert len(set(targets)) == len(targets)
    assert targets == sorted(targets, key=PurePosixPath)
    assert "/usr/bin/tar" in targets
    assert any(target.endswith("site-packages/pytest/__init__.py") for target in targets)
    assert any("libc." in target for target in targets)
    assert all(target.startswith(("/usr/", "/lib")) for target in targets)
    assert not any(
        word in target
        for target in targets
        for word in ("__pycache__", "direct_url.json", ".pth", "/zoran")
    )
    home = str(Path.home())
    assert not any(home in target for target in targets)


def test_no_image_yet_and_a_spoiled_record(tmp_path: Path) -> None:
    assert recorded(tmp_path) is None
    (tmp_path / "sandbox-image.json").write_text("{")
    with pytest.raises(ConfigError, match="zoran sandbox build"):
        recorded(tmp_path)
