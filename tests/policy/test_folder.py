"""Nothing leaves the folder: not through a link, not through one that is swapped in meanwhile."""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoran_ray.errors import InvalidRequest, PermissionDenied, ZoranError
from zoran_ray.policy import OpenFolder

SECRET = b"outside"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(SECRET)
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "file").write_bytes(b"inside")
    (root / "link").symlink_to(outside)
    (root / "a" / "out").symlink_to(outside / "file")
    (root / "a" / "loop").symlink_to("loop")
    (root / "a" / "in").symlink_to("file")
    os.mkfifo(root / "a" / "pipe")
    return root


@pytest.fixture
def folder(place: Path) -> Iterator[OpenFolder]:
    with OpenFolder(place) as opened:
        yield opened


def test_files_are_read_written_and_deleted(folder: OpenFolder, place: Path) -> None:
    assert folder.read("a/file", 6) == b"inside"
    folder.write("a/file", b"new")
    folder.write("x/y/z.sh", b"#!", executable=True)
    assert (place / "a/file").read_bytes() == b"new"
    assert (place / "a/file").stat().st_mode & 0o777 == 0o644
    assert (place / "x/y/z.sh").stat().st_mode & 0o777 == 0o755
    assert sorted(each.name for each in (place / "a").iterdir()) == [
        "b",
        "file",
        "in",
        "loop",
        "out",
        "pipe",
    ]
    folder.write("x/y/z.sh", b"#!/bin/sh")
    assert (place / "x/y/z.sh").stat().st_mode & 0o777 == 0o755
    folder.delete("x/y/z.sh")
    assert not (place / "x/y/z.sh").exists()


@pytest.mark.parametrize(
    "path",
    [
        "link/file",
        "a/out",
        "a/loop",
        "a/in",
        "a/pipe",
        "a/b",
        "a/file/x",
        "../outside/file",
        "/etc/passwd",
        ".git/x",
    ],
)
def test_links_and_what_is_no_file_are_refused(folder: OpenFolder, place: Path, path: str) -> None:
    for act in (
        lambda: folder.read(path, 99),
        lambda: folder.write(path, b"x"),
        lambda: folder.delete(path),
    ):
        with pytest.raises(PermissionDenied):
            act()
    assert (place.parent / "outside" / "file").read_bytes() == SECRET
    assert (place / "a" / "in").is_symlink()


def test_what_is_missing_or_too_large_is_told(folder: OpenFolder) -> None:
    with pytest.raises(InvalidRequest, match="No such file"):
        folder.read("a/none", 9)
    with pytest.raises(InvalidRequest, match="more than 5 bytes"):
        folder.read("a/file", 5)
    with pytest.raises(InvalidRequest, match="No such file"):
        folder.delete("none/x")


def test_a_root_that_is_no_folder_is_told(place: Path) -> None:
    with pytest.raises(InvalidRequest, match="folder"):
        OpenFolder(place / "a" / "file")


def test_a_failed_write_leaves_nothing_behind(folder: OpenFolder, place: Path) -> None:
    with pytest.raises(TypeError):
        folder.write("a/new", "text")  # type: ignore[arg-type]
    assert not [each for each in (place / "a").iterdir() if each.name.startswith((".draft", "new"))]


def test_a_link_swapped_in_is_never_followed(place: Path) -> None:
    stop = threading.Event()

    def swap() -> None:
        real, link = place / "a", place / "kept"
        while not stop.is_set():
            with suppress(OSError):
                real.rename(link)
                real.symlink_to(place.parent / "outside")
                real.unlink()
                link.rename(real)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        with OpenFolder(place) as folder:
            for number in range(150):
                for _ in range(20):
                    with suppress(ZoranError):
                        assert folder.read("a/file", 99) != SECRET
                with suppress(ZoranError):
                    folder.write("a/file", b"%d" % number)
    finally:
        stop.set()
        thread.join()
    outside = place.parent / "outside"
    assert [(each.name, each.read_bytes()) for each in outside.iterdir()] == [("file", SECRET)]


_PARTS = st.sampled_from(
    ["a", "b", "link", "out", "in", "file", "..", ".", "", "pipe", "loop", ".git", "new"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(parts=st.lists(_PARTS, max_size=5))
def test_no_path_reaches_outside(place: Path, parts: list[str]) -> None:
    path = "/".join(parts)
    with OpenFolder(place) as folder:
        with suppress(ZoranError):
            assert folder.read(path, 99) != SECRET
        with suppress(ZoranError):
            folder.write(path, b"mine")
            assert (place / path).resolve().is_relative_to(place.resolve())
    assert (place.parent / "outside" / "file").read_bytes() == SECRET
    assert [each.name for each in (place.parent / "outside").iterdir()] == ["file"]
