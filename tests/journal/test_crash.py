"""A crash at every byte, and what is a crash and what is damage."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zoran_ray.errors import ConfigError
from zoran_ray.journal import Journal, SigningKey, open_journal, verify_file
from zoran_ray.journal.frames import COMMIT, MAGIC, Scanner

BATCHES = (1, 3, 13, 2)


def ends_of_commits(content: bytes) -> list[int]:
    ends, scanner = [], Scanner(lambda at, most: content[at : at + most], len(MAGIC))
    for _, tag, _ in scanner:
        if tag == COMMIT:
            ends.append(scanner.end)
    return ends


@pytest.mark.parametrize(
    ("durable", "junk"),
    [(True, b""), (True, bytes(600)), (False, b""), (False, b"\xff" * 40)],
    ids=["sound", "sound-zeros", "cached", "cached-ones"],
)
def test_a_crash_at_every_byte(
    path: Path, key: SigningKey, write: Any, make_entry: Any, durable: bool, junk: bytes
) -> None:
    write(*BATCHES, durable=durable)
    content = path.read_bytes()
    ends = ends_of_commits(content)
    sizes = [0, *(sum(BATCHES[: number + 1]) for number in range(len(BATCHES)))]
    assert ends[-1] == len(content)
    for cut in range(ends[0], len(content) + 1):
        path.write_bytes(content[:cut] + junk)
        whole = sum(end <= cut for end in ends) - 1
        journal = open_journal(path, key, fsync=lambda _: None)
        found = journal.recovery
        assert (found.entries, found.end) == (sizes[whole], ends[whole])
        assert found.cut_bytes == cut + len(junk) - ends[whole]
        assert bool(found.why) == bool(found.cut_bytes)
        assert path.stat().st_size == ends[whole]
        if cut % 16 == 0:
            journal.append([make_entry(journal.size)], durable=False)
            assert journal.entries(0, journal.size) == [make_entry(i).data for i in range(journal.size)]
            assert verify_file(path, key=key.verifier).is_good
        journal.close()


def test_a_file_cut_before_its_first_checkpoint_was_not_cut_by_a_crash(
    path: Path, key: SigningKey, write: Any
) -> None:
    """It comes into being whole, so somebody else did that."""
    write(2)
    content = path.read_bytes()
    for cut in range(ends_of_commits(content)[0]):
        path.write_bytes(content[:cut])
        with pytest.raises(ConfigError):
            open_journal(path, key)
        assert verify_file(path).integrity == "damaged"
        assert path.read_bytes() == content[:cut]


def test_whole_entries_of_a_torn_write_are_counted(path: Path, key: SigningKey, write: Any) -> None:
    write(2, 5)
    content = path.read_bytes()
    path.write_bytes(content[: ends_of_commits(content)[2] - 1])
    journal = open_journal(path, key)
    assert (journal.recovery.entries, journal.recovery.cut_entries) == (2, 5)
    assert "ends within a record" in journal.recovery.why
    journal.close()


def test_a_hole_in_what_was_on_disk_is_damage_and_nothing_is_cut(
    path: Path, key: SigningKey, write: Any
) -> None:
    write(2, 2, 2)
    content = path.read_bytes()
    first, second, third = ends_of_commits(content)[1:]
    for at in range(ends_of_commits(content)[0], second, 7):
        holed = content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]
        path.write_bytes(holed)
        with pytest.raises(ConfigError, match="is damaged: from byte"):
            open_journal(path, key)
        assert path.read_bytes() == holed
    assert first < second < third


def test_a_hole_in_what_was_never_on_disk_is_a_torn_write(
    path: Path, key: SigningKey, make_entry: Any
) -> None:
    """Pages of a write that nobody waited for reach the disk in any order."""
    journal = open_journal(path, key)
    journal.append([make_entry(0)])
    kept = path.stat().st_size
    for number in range(1, 5):
        journal.append([make_entry(number)], durable=False)
    content = path.read_bytes()
    journal.close()
    path.write_bytes(content[: kept + 10] + bytes(30) + content[kept + 40 :])
    journal = open_journal(path, key)
    assert (journal.recovery.entries, journal.recovery.end) == (1, kept)
    journal.close()


def test_a_whole_record_that_contradicts_is_no_torn_write(path: Path, key: SigningKey, write: Any) -> None:
    write(2, 2)
    content = path.read_bytes()
    ends = ends_of_commits(content)
    again = content + content[ends[1] : ends[2]]  # the last batch twice
    path.write_bytes(again)
    with pytest.raises(ConfigError, match="commit 2 where commit 3 should be"):
        open_journal(path, key)
    assert path.read_bytes() == again


WRITER = """
import sys
from pathlib import Path
from zoran_ray.journal import *
journal = open_journal(Path(sys.argv[1]), load_or_make_key(Path(sys.argv[1]).with_suffix(".key")))
while True:
    first = journal.size
    entries = [Entry(Kind.MEMORY_WRITE, n, {"n": n}) for n in range(first, first + 1 + first % 7)]
    receipt = journal.append(entries, durable=first % 3 != 0)
    print(receipt.first + receipt.count, flush=True)
"""


def test_killed_in_the_middle_of_writing(path: Path) -> None:
    from zoran_ray.journal import load_key

    acknowledged = 0
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        ) as child:
            assert child.stdout is not None
            for _ in range(200):
                acknowledged = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            for line in child.stdout.read().splitlines(keepends=True):
                acknowledged = int(line) if line.endswith("\n") else acknowledged
        key = load_key(path.with_suffix(".key"))
        journal: Journal = open_journal(path, key)
        assert journal.size >= acknowledged
        for index in range(0, journal.size, 13):
            assert b'"n":%d}' % index in journal.entry(index)
        journal.close()
        assert verify_file(path, key=key.verifier).is_good
