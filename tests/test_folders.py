"""Files that come into being whole, private and under one name, whoever else makes them."""

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zoran_ray.folders import create_file, replace_file

BOTH = pytest.mark.parametrize("write", [create_file, replace_file])
Write = Callable[[Path, bytes], None]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@BOTH
def test_a_file_is_whole_and_only_its_owners(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "a"
    old = os.umask(0)
    try:
        write(path, b"x" * 100_000)
    finally:
        os.umask(old)
    assert path.read_bytes() == b"x" * 100_000
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(tmp_path) == ["a"]


def test_one_that_is_there_stays_or_goes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    create_file(path, b"1")
    create_file(path, b"2")
    assert path.read_bytes() == b"1"
    replace_file(path, b"3")
    assert path.read_bytes() == b"3"
    assert names(tmp_path) == ["a"]


@BOTH
def test_of_many_writers_one_has_written_all_of_it(tmp_path: Path, write: Write) -> None:
    texts = [bytes([65 + number]) * 50_000 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda text: write(tmp_path / "a", text), texts))
    assert (tmp_path / "a").read_bytes() in texts
    assert names(tmp_path) == ["a"]


def test_what_cannot_be_written_leaves_nothing_and_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir()
    (path / "b").touch()
    with pytest.raises(OSError, match="directory"):
        replace_file(path, b"1")
    with pytest.raises(FileNotFoundError):
        create_file(tmp_path / "none" / "a", b"1")
    assert names(tmp_path) == ["a"]
