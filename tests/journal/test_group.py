import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from zoran_ray.errors import DeadlineExceeded, InvalidRequest, Overloaded, Unavailable
from zoran_ray.journal import GroupCommit, SigningKey, open_journal, verify_file


class SlowDisk:
    """A disk that waits until it is let go, and counts."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.waits = threading.Semaphore(0)
        self.syncs = 0
        self.fails = False

    def __call__(self, handle: int) -> None:
        self.syncs += 1
        self.waits.release()
        assert self.go.wait(30)
        if self.fails:
            raise OSError(5, "Input/output error")
        os.fsync(handle)


@pytest.fixture
def disk() -> SlowDisk:
    return SlowDisk()


@pytest.fixture
def group(path: Path, key: SigningKey, disk: SlowDisk) -> Any:
    journal = open_journal(path, key, fsync=disk)
    disk.waits = threading.Semaphore(0)
    disk.syncs = 0
    yield GroupCommit(journal, most_waiting=100)
    journal.close()


def test_everyone_gets_what_they_wrote(
    path: Path, key: SigningKey, group: GroupCommit, make_entry: Any
) -> None:
    def write(number: int) -> bool:
        entries = [make_entry(number * 10 + n) for n in range(number % 4)]
        receipt = group.append(entries, durable=number % 3 == 0)
        found = group._journal.entries(receipt.first, receipt.first + receipt.count)
        return found == [each.data for each in entries]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(write, range(300)))
    assert verify_file(path, key=key.verifier).is_good


def test_who_comes_while_the_disk_is_busy_shares_the_next_wait(
    group: GroupCommit, disk: SlowDisk, make_entry: Any
) -> None:
    disk.go.clear()
    with ThreadPoolExecutor(21) as pool:
        first = pool.submit(group.append, [make_entry(0)])
        assert disk.waits.acquire(timeout=30)
        rest = [pool.submit(group.append, [make_entry(n)]) for n in range(1, 21)]
        while group._waiting < 20:
            time.sleep(0.001)
        disk.go.set()
        assert first.result(30).first == 0
        assert sorted(each.result(30).first for each in rest) == list(range(1, 21))
    assert disk.syncs == 2


def test_what_is_offered_goes_with_the_next(group: GroupCommit, disk: SlowDisk, make_entry: Any) -> None:
    group.offer([make_entry(0), make_entry(1)])
    group.offer([])
    assert disk.syncs == 0
    assert group.append([make_entry(2)], durable=False).first == 2
    group.offer([make_entry(3)])
    group.flush()
    assert (group._journal.size, disk.syncs) == (4, 1)


def test_late_ones_are_told_what_became_of_theirs(
    group: GroupCommit, disk: SlowDisk, make_entry: Any
) -> None:
    disk.go.clear()
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(group.append, [make_entry(0)])
        assert disk.waits.acquire(timeout=30)
        with pytest.raises(DeadlineExceeded, match="nothing was added"):
            group.append([make_entry(1)], timeout_s=0.01)
        disk.go.set()
        slow.result(30)
    assert group._journal.size == 1
    assert group._waiting == 0


def test_no_more_wait_than_may(group: GroupCommit, make_entry: Any) -> None:
    group.offer([make_entry(0)] * 99)
    with pytest.raises(Overloaded):
        group.append([make_entry(0)] * 2)
    with pytest.raises(InvalidRequest, match="at most"):
        group.append([make_entry(0)] * 101)
    group.flush()
    assert group._journal.size == 99


def test_a_disk_that_fails_fails_for_all(group: GroupCommit, disk: SlowDisk, make_entry: Any) -> None:
    disk.go.clear()
    disk.fails = True
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(group.append, [make_entry(n)]) for n in range(6)]
        assert disk.waits.acquire(timeout=30)
        disk.go.set()
        for each in asked:
            with pytest.raises(Unavailable):
                each.result(30)
