"""The log under full disks, crashes at every byte, and damage."""

import errno
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoran_ray.errors import BodyTooLarge, StateDamaged, StorageFull, Unavailable
from zoran_ray.memory import frames
from zoran_ray.memory.disk import OsDisk, OsFile
from zoran_ray.memory.wal import Fsync, WriteAheadLog, write_bytes


class SmallFile(OsFile):
    def __init__(self, path: Path, disk: "SmallDisk") -> None:
        super().__init__(path)
        self.disk = disk

    def write(self, data: bytes) -> None:
        taken = data[: self.disk.room]
        self.disk.room -= len(taken)
        super().write(taken)
        if len(taken) < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def sync(self) -> None:
        self.disk.syncs += 1
        if self.disk.sync_fails:
            raise OSError(errno.EIO, "Input/output error")
        super().sync()

    def truncate(self, size: int) -> None:
        if self.disk.sync_fails:
            raise OSError(errno.EIO, "Input/output error")
        super().truncate(size)


class SmallDisk(OsDisk):
    """A disk with so many bytes of room, which can also lose the ability to sync."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.room = room
        self.sync_fails = False
        self.syncs = 0

    def open(self, path: Path) -> SmallFile:
        return SmallFile(path, self)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log"


def written(path, groups):
    """A log with these groups, and the size of its file after each."""
    log = WriteAheadLog.create(path, fsync=Fsync.NEVER)
    sizes = [log.size_bytes]
    for group in groups:
        log.append(group)
        sizes.append(log.size_bytes)
    log.close()
    assert sizes[-1] == path.stat().st_size
    return sizes


def reopened(path):
    log = WriteAheadLog.open(path)
    found = list(log.replay())
    log.close()
    return log, found


def test_what_was_appended_comes_back(path):
    written(path, [[b"one", b"two"], [], [b""], [b"x" * 100_000]])
    log, found = reopened(path)
    assert found == [b"one", b"two", b"", b"x" * 100_000]
    assert (log.frames, log.cut_bytes) == (4, 0)


def test_appending_goes_on_after_reopening(path):
    written(path, [[b"one"]])
    log = WriteAheadLog.open(path)
    log.append([b"two"])
    log.close()
    assert reopened(path)[1] == [b"one", b"two"]


def test_bytes_are_foretold(path):
    sizes = written(path, [[b"one", b"twotwo"]])
    assert sizes[1] - sizes[0] == write_bytes([b"one", b"twotwo"])


def test_a_crash_at_any_byte_keeps_what_was_acknowledged_and_shows_no_half(path, tmp_path):
    groups = [[b"a" * 5], [b"zF" * 9, b"c"], [b""], [b"d" * 40]]
    sizes = written(path, groups)
    whole = path.read_bytes()
    one_by_one = [write for group in groups for write in group]
    ends = [sizes[0]]
    for write in one_by_one:
        ends.append(ends[-1] + write_bytes([write]))
    cut_file = tmp_path / "cut"
    for cut in range(sizes[0], len(whole) + 1):
        cut_file.write_bytes(whole[:cut])
        log, found = reopened(cut_file)
        kept = sum(end <= cut for end in ends) - 1
        assert found == one_by_one[:kept]
        assert log.cut_bytes == cut - ends[kept]
        assert cut_file.stat().st_size == ends[kept]


@pytest.mark.parametrize("tail", [bytes(4096), b"\xff" * 50, b"zF" * 2000])
def test_an_unfinished_write_of_any_bytes_is_cut(path, tail):
    written(path, [[b"one"]])
    with path.open("ab") as file:
        file.write(tail)
    log, found = reopened(path)
    assert (found, log.cut_bytes) == ([b"one"], len(tail))


@given(st.data())
@settings(max_examples=200)
def test_no_flipped_bit_passes(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("flip") / "log"
    groups = [[b"first"], [b"second" * 3], [b"third"]]
    written(path, groups)
    content = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    last = write_bytes(groups[-1])
    if bit // 8 < len(content) - last:
        with pytest.raises(StateDamaged, match="salvage"):
            WriteAheadLog.open(path)
        assert path.read_bytes() == content  # untouched, for whoever mends it
        return
    assert reopened(path)[1] == [b"first", b"second" * 3]


def test_stored_text_cannot_pass_for_a_frame(path, tmp_path):
    """Whoever knows the format but not the salt of the file cannot forge a write for after a crash."""
    forged = frames.frame(bytes(16), 1, b"forged")
    sizes = written(path, [[b"one"], [forged * 3, b"more"]])
    content = path.read_bytes()
    path.write_bytes(content[: sizes[1] + frames.FRAME_BYTES + 2 * len(forged)])
    assert list(frames.salvage(path)) == [b"one"]
    assert reopened(path)[1] == [b"one"]


def test_frames_of_another_file_are_no_frames(path, tmp_path):
    other = tmp_path / "other"
    sizes = written(path, [[b"one"]])
    written(other, [[b"one"], [b"two"]])
    path.write_bytes(path.read_bytes() + other.read_bytes()[sizes[1] :])
    assert reopened(path)[1] == [b"one"]


def test_salvage_finds_what_is_whole(path):
    sizes = written(path, [[b"one"], [b"two"], [b"three"]])
    content = bytearray(path.read_bytes())
    content[sizes[1] + 5] ^= 1
    path.write_bytes(content)
    assert list(frames.salvage(path)) == [b"one", b"three"]


@pytest.mark.parametrize("content", [b"", b"ZORANMEM", b"SQLite format 3" * 9])
def test_files_that_are_none(path, content):
    path.write_bytes(content)
    with pytest.raises(StateDamaged):
        WriteAheadLog.open(path)
    assert list(frames.salvage(path)) == []


def test_no_file_is_an_error_of_its_own(path):
    with pytest.raises(Unavailable):
        WriteAheadLog.open(path)


def test_a_full_disk_refuses_and_loses_nothing(path):
    disk = SmallDisk(room=frames.HEADER_BYTES + 100)
    log = WriteAheadLog.create(path, disk=disk)
    log.append([b"kept"])
    with pytest.raises(StorageFull):
        log.append([b"x" * 200])
    assert not log.broken
    disk.room = 1000
    log.append([b"after"])
    log.close()
    assert reopened(path)[1] == [b"kept", b"after"]


def test_a_disk_that_was_full_at_the_beginning(path):
    with pytest.raises(StorageFull):
        WriteAheadLog.create(path, disk=SmallDisk(room=5))


def test_after_a_failed_sync_nothing_is_promised_any_more(path):
    disk = SmallDisk()
    log = WriteAheadLog.create(path, disk=disk)
    log.append([b"kept"])
    disk.sync_fails = True
    with pytest.raises(Unavailable):
        log.append([b"in doubt"])
    assert log.broken
    disk.sync_fails = False
    with pytest.raises(Unavailable, match="Compact"):
        log.append([b"more"])
    log.close()
    assert reopened(path)[1] in ([b"kept"], [b"kept", b"in doubt"])


def test_one_sync_for_a_group(path):
    disk = SmallDisk()
    log = WriteAheadLog.create(path, disk=disk)
    before = disk.syncs
    log.append([b"a", b"b", b"c"])
    assert disk.syncs == before + 1
    log.close()
    assert disk.syncs == before + 1


def test_policies(path, tmp_path):
    now = [0.0]
    disk = SmallDisk()
    log = WriteAheadLog.create(path, disk=disk, fsync=Fsync.INTERVAL, interval_s=1.0, clock=lambda: now[0])
    before = disk.syncs
    log.append([b"a"])
    assert disk.syncs == before
    now[0] = 1.0
    log.append([b"b"])
    assert disk.syncs == before + 1
    log.append([b"c"])
    log.close()
    assert disk.syncs == before + 2
    lazy = WriteAheadLog.create(tmp_path / "lazy", disk=disk, fsync=Fsync.NEVER)
    before = disk.syncs
    lazy.append([b"a"])
    lazy.close()
    assert disk.syncs == before
    assert reopened(tmp_path / "lazy")[1] == [b"a"]


def test_writes_are_bounded(path, monkeypatch):
    monkeypatch.setattr("zoran_ray.memory.wal.MOST_PAYLOAD_BYTES", 10)
    log = WriteAheadLog.create(path)
    with pytest.raises(BodyTooLarge):
        log.append([b"x", b"x" * 11])
    log.close()
    assert reopened(path)[1] == []


def test_a_log_is_closed_to_other_users(path):
    written(path, [])
    assert path.stat().st_mode & 0o077 == 0


def test_a_copy_is_as_good(path, tmp_path):
    written(path, [[b"one"]])
    shutil.copy(path, tmp_path / "copy")
    assert reopened(tmp_path / "copy")[1] == [b"one"]
