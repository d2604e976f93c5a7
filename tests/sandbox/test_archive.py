import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import InvalidRequest
from zoran_ray.sandbox.archive import is_safe_name, pack, unpack
from zoran_ray.sandbox.limits import Limits

LIMITS = Limits()
NAMES = st.lists(st.from_regex(r"[a-zé][a-z0-9._-]{0,8}", fullmatch=True), min_size=1, max_size=3).map(
    "/".join
)


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@given(st.dictionaries(NAMES, st.binary(max_size=600), max_size=8))
def test_what_went_in_comes_out(files: dict[str, bytes]) -> None:
    folders = {name.rpartition("/")[0] for name in files} | {
        name.split("/")[0] for name in files if "/" in name
    }
    if folders & files.keys():
        with pytest.raises(InvalidRequest):
            pack(files, LIMITS)
    else:
        assert unpack(pack(files, LIMITS), LIMITS).files == files


@given(st.binary(max_size=3000))
def test_noise_gives_no_file(data: bytes) -> None:
    assert unpack(data, LIMITS).files == {}


@given(st.data())
def test_a_changed_archive_never_gives_an_unsafe_name(data: st.DataObject) -> None:
    good = bytearray(tar_of((entry("./a/b"), b"x" * 600), (entry("./c"), b"y")))
    for _ in range(data.draw(st.integers(1, 8))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    assert all(is_safe_name(name) for name in unpack(bytes(good), LIMITS).files)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a//b",
        "./a",
        "a/",
        "a\\b",
        "a\0b",
        "a\nb",
        "x" * 256,
        "\udc80",
        ".",
    ],
)
def test_unsafe_names_do_not_go_in(name: str) -> None:
    assert not is_safe_name(name)
    with pytest.raises(InvalidRequest):
        pack({name: b""}, LIMITS)


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CONTTYPE,
    ],
)
def test_only_regular_files_come_out(kind: bytes) -> None:
    left = unpack(tar_of((entry("evil", kind, "/etc/passwd"), b""), (entry("good"), b"1")), LIMITS)
    assert left.files == {"good": b"1"}
    assert left.left_out == ("'evil': not a regular file",)


@pytest.mark.parametrize("name", ["/abs", "a/../../b", "x\\y", "good/under"])
def test_unsafe_names_do_not_come_out(name: str) -> None:
    left = unpack(tar_of((entry("good"), b"1"), (entry(name), b"2")), LIMITS)
    assert left.files == {"good": b"1"}
    assert len(left.left_out) == 1


def test_a_second_file_of_the_same_name_does_not_replace_the_first() -> None:
    assert unpack(tar_of((entry("a"), b"1"), (entry("a"), b"2")), LIMITS).files == {"a": b"1"}


def test_a_sparse_file_is_left_out() -> None:
    member = entry("huge")
    member.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.realsize": "1" + "0" * 15,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        content = b"0\n".ljust(512, b"\0")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    assert unpack(buffer.getvalue(), LIMITS).files == {}


@pytest.mark.parametrize("limits", [Limits(kept_files=2), Limits(kept_bytes=250)])
def test_too_much_gives_nothing(limits: Limits) -> None:
    left = unpack(tar_of(*((entry(f"f{n}"), b"x" * 100) for n in range(3))), limits)
    assert left.files == {}
    assert left.left_out


@pytest.mark.parametrize("limits", [Limits(input_files=2), Limits(input_bytes=250)])
def test_too_much_does_not_go_in(limits: Limits) -> None:
    with pytest.raises(InvalidRequest):
        pack({f"f{n}": b"x" * 100 for n in range(3)}, limits)


def test_a_size_that_lies_gives_nothing() -> None:
    whole = tar_of((entry("a"), b"x" * 5000))
    assert unpack(whole[:2048], LIMITS).files == {}
