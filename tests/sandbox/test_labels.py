import threading
from pathlib import Path

import pytest

from zoran_ray.errors import ConfigError
from zoran_ray.sandbox.labels import Labels, deployment_of


def test_labels_come_back() -> None:
    labels = Labels("a" * 32, "job", 1.5, 2.5)
    assert Labels.read(labels.as_docker()) == labels
    assert Labels.read({}) is None


def test_a_deployment_keeps_its_name_and_shares_it_with_none(tmp_path: Path) -> None:
    names: list[str] = []
    threads = [
        threading.Thread(target=lambda: names.append(deployment_of(tmp_path / "a"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 8
    assert len(set(names)) == 1
    assert deployment_of(tmp_path / "b") not in names
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["sandbox-deployment"]


def test_a_spoiled_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "sandbox-deployment").write_text("x,y")
    with pytest.raises(ConfigError, match="spoiled"):
        deployment_of(tmp_path)
