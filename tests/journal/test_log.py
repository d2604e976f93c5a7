import os
import resource
import stat
from pathlib import Path
from typing import Any

import pytest

from zoran_ray.errors import AlreadyRunning, ConfigError, InvalidRequest, Unavailable
from zoran_ray.journal import (
    MOST_BATCH,
    SigningKey,
    consistency_holds,
    inclusion_holds,
    leaf_hash,
    open_journal,
    verify_file,
)


def test_what_is_appended_is_there_and_proved(path: Path, key: SigningKey, make_entry: Any) -> None:
    journal = open_journal(path, key)
    heads = [journal.head()]
    for size in (1, 2, 15, 0, 40, 1):
        entries = [make_entry(journal.size + number) for number in range(size)]
        receipt = journal.append(entries, durable=bool(size % 2))
        assert (receipt.first, receipt.count) == (heads[-1].size, size)
        heads.append(journal.head())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for reopened in (False, True):
        if reopened:
            journal.close()
            journal = open_journal(path, key)
            assert (journal.recovery.entries, journal.recovery.cut_bytes) == (59, 0)
        for index in range(59):
            data, proof, head = journal.inclusion(index)
            assert data == make_entry(index).data == journal.entry(index)
            assert inclusion_holds(leaf_hash(data), index, head.size, proof, head.root)
            assert head.is_signed_by(key.verifier)
        for old in heads:
            proof, head = journal.consistency(old.size)
            assert consistency_holds(old.size, old.root, head.size, head.root, proof)
    assert journal.entries(14, 35) == [make_entry(index).data for index in range(14, 35)]
    journal.close()
    assert verify_file(path, key=key.verifier, against=heads[3]).is_good


def test_what_is_not_there(path: Path, key: SigningKey, make_entry: Any) -> None:
    journal = open_journal(path, key)
    journal.append([make_entry(0)])
    for ask in (
        lambda: journal.entry(1),
        lambda: journal.entry(-1),
        lambda: journal.inclusion(1),
        lambda: journal.consistency(2),
    ):
        with pytest.raises(InvalidRequest):
            ask()
    assert journal.entries(1, 1) == []
    with pytest.raises(InvalidRequest, match="in parts"):
        journal.append([make_entry(0)] * (MOST_BATCH + 1))
    journal.close()


def test_one_writer_at_a_time(path: Path, key: SigningKey, make_entry: Any) -> None:
    journal = open_journal(path, key)
    with pytest.raises(AlreadyRunning):
        open_journal(path, key)
    journal.append([make_entry(0)])
    journal.close()
    journal.close()
    with pytest.raises(Unavailable, match="is closed"):
        journal.append([make_entry(1)])
    open_journal(path, key).close()


def test_another_key_or_a_file_open_to_others(path: Path, key: SigningKey, write: Any) -> None:
    write(3)
    with pytest.raises(ConfigError, match="another key"):
        open_journal(path, SigningKey(key.name, bytes(32)))
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        open_journal(path, key)


@pytest.mark.parametrize("content", [b"", b"ZORANJ1\n", b"hello" * 100])
def test_a_file_that_is_no_journal_is_left_alone(path: Path, key: SigningKey, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="no journal"):
        open_journal(path, key)
    assert path.read_bytes() == content


def test_a_journal_without_what_was_known_of_it(path: Path, key: SigningKey, write: Any) -> None:
    write(3)
    short = path.read_bytes()
    journal = open_journal(path, key)
    known = journal.head()
    journal.close()
    write(2)
    open_journal(path, key, known=known).close()
    journal = open_journal(path, key)
    known = journal.head()
    journal.close()
    path.write_bytes(short)
    with pytest.raises(ConfigError, match="does not contain"):
        open_journal(path, key, known=known)
    assert path.read_bytes() == short


def test_durable_means_that_the_disk_was_waited_for(path: Path, key: SigningKey, make_entry: Any) -> None:
    synced: list[int] = []

    def fsync(handle: int) -> None:
        os.fsync(handle)
        synced.append(os.fstat(handle).st_size)

    journal = open_journal(path, key, fsync=fsync)
    synced.clear()
    journal.append([make_entry(0)], durable=False)
    assert synced == []
    journal.append([make_entry(1)])
    assert synced == [path.stat().st_size]
    journal.append([], durable=True)
    assert len(synced) == 1  # nothing new to wait for
    journal.append([make_entry(2)], durable=False)
    journal.head()  # a signed statement that leaves must not be undone by a loss of power
    journal.append([make_entry(3)], durable=False)
    journal.close()
    assert len(synced) == 3


def test_a_failed_disk_is_not_asked_again(path: Path, key: SigningKey, make_entry: Any) -> None:
    failing: list[bool] = []

    def fsync(handle: int) -> None:
        if failing:
            raise OSError(5, "Input/output error")

    journal = open_journal(path, key, fsync=fsync)
    journal.append([make_entry(0)])
    failing.append(True)
    with pytest.raises(Unavailable, match="Input/output"):
        journal.append([make_entry(1)])
    failing.clear()
    for again in (lambda: journal.append([make_entry(1)]), journal.head, lambda: journal.inclusion(0)):
        with pytest.raises(Unavailable, match="Open it again"):
            again()
    journal.close()
    failing.append(True)
    with pytest.raises(Unavailable, match="disk"):
        open_journal(path, key, fsync=fsync)
    failing.clear()
    again = open_journal(path, key, fsync=fsync)  # the failed attempt let go of the file
    assert again.entry(0) == make_entry(0).data
    again.close()


@pytest.mark.parametrize("room", [0, 1, 40, 200])
def test_a_full_disk_loses_nothing(path: Path, key: SigningKey, make_entry: Any, room: int) -> None:
    journal = open_journal(path, key)
    journal.append([make_entry(0)])
    before, head = path.read_bytes(), journal.head()
    with file_size_limit(len(before) + room), pytest.raises(Unavailable, match="Nothing was added"):
        journal.append([make_entry(1)])
    assert (path.read_bytes(), journal.head()) == (before, head)
    assert journal.append([make_entry(1)]).first == 1
    journal.close()
    assert verify_file(path, key=key.verifier, against=head).is_good


def test_a_file_that_somebody_else_wrote_to(path: Path, key: SigningKey, make_entry: Any) -> None:
    journal = open_journal(path, key)
    with path.open("ab") as file:
        file.write(b"!")
    with pytest.raises(ConfigError, match="not as it was left"):
        journal.append([make_entry(0)])
    with pytest.raises(Unavailable):
        journal.append([make_entry(0)])
    journal.close()


def test_a_file_that_changed_under_a_reader(path: Path, key: SigningKey, write: Any) -> None:
    write(40)
    journal = open_journal(path, key)
    content = path.read_bytes()
    at = content.index(b"r-20")
    path.write_bytes(content[:at] + b"R" + content[at + 1 :])
    with pytest.raises(ConfigError, match="changed since"):
        journal.entry(20)
    assert b"r-3" in journal.entry(3)
    journal.close()


class file_size_limit:
    """Files of this process cannot grow beyond so many bytes: what a full disk does to a write."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes

    def __enter__(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._most_bytes, self._before[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)
