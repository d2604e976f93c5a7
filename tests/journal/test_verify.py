"""A thousand tamperings, all of them detected; and the two verdicts."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoran_ray.errors import ConfigError
from zoran_ray.journal import (
    Checkpoint,
    Entry,
    Kind,
    SigningKey,
    leaf_hash,
    open_journal,
    parse_checkpoint,
    verify_file,
)
from zoran_ray.journal.checkpoint import sign
from zoran_ray.journal.frames import COMMIT, ENTRY, MAGIC, ORIGIN, Scanner, frame
from zoran_ray.journal.tree import Tree

Frames = list[tuple[int, bytes]]
FORGER = SigningKey("zoran-journal/test", b"\x07" * 32)


def frames_of(content: bytes) -> Frames:
    scanner = Scanner(lambda at, most: content[at : at + most], len(MAGIC))
    return [(tag, payload) for _, tag, payload in scanner]


def file_of(frames: Frames) -> bytes:
    return MAGIC + b"".join(frame(tag, payload) for tag, payload in frames)


def flip(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) * 8)
    return content[: at // 8] + bytes([content[at // 8] ^ 1 << at % 8]) + content[at // 8 + 1 :]


def flip_with_a_right_checksum(content: bytes, rng: random.Random) -> bytes:
    frames = frames_of(content)
    which = rng.randrange(len(frames))
    tag, payload = frames[which]
    frames[which] = (tag, flip(payload, rng))
    return file_of(frames)


def reorder(content: bytes, rng: random.Random) -> bytes:
    frames = frames_of(content)
    one, other = rng.sample(range(len(frames)), 2)
    frames[one], frames[other] = frames[other], frames[one]
    return file_of(frames)


def leave_out(content: bytes, rng: random.Random) -> bytes:
    frames = frames_of(content)
    del frames[rng.randrange(len(frames))]
    return file_of(frames)


def repeat(content: bytes, rng: random.Random) -> bytes:
    frames = frames_of(content)
    tag, payload = rng.choice([each for each in frames if each[0] == ENTRY])
    frames.insert(rng.randrange(1, len(frames) + 1), (tag, payload))
    return file_of(frames)


def truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def truncate_at_a_record(content: bytes, rng: random.Random) -> bytes:
    frames = frames_of(content)
    return file_of(frames[: rng.randrange(len(frames))])


def rewrite_the_tail(content: bytes, rng: random.Random) -> bytes:
    """Other entries from somewhere on, checksums right, signed by somebody else under the same name."""
    return _rewritten(content, rng, FORGER)


def rewrite_the_tail_with_the_key(content: bytes, rng: random.Random) -> bytes:
    """As somebody would who has stolen the journal's key: only a copied checkpoint can tell."""
    return _rewritten(content, rng, SigningKey("zoran-journal/test", bytes(range(32))))


def rewrite_everything_with_another_key(content: bytes, rng: random.Random) -> bytes:
    forged = frames_of(_rewritten(content, rng, FORGER, start=1))
    return file_of([(ORIGIN, str(FORGER.verifier).encode()), *forged[1:]])


def _rewritten(content: bytes, rng: random.Random, key: SigningKey, start: int | None = None) -> bytes:
    frames = frames_of(content)
    start = rng.randrange(2, len(frames) - 1) if start is None else start
    tree, out = Tree(), frames[:start]
    for tag, payload in out:
        if tag == ENTRY:
            tree.take(tree.grown([leaf_hash(payload)]))
    for number, (tag, payload) in enumerate(frames[start:]):
        if tag == ENTRY:
            forged = Entry(Kind.POLICY_DECISION, number, {"allowed": True, "n": rng.randrange(10**9)})
            tree.take(tree.grown([leaf_hash(forged.data)]))
            out.append((ENTRY, forged.data))
        else:
            old = parse_checkpoint(payload.decode())
            forged_note = sign(tree.size, tree.root(), key, old.commit, old.synced).note
            out.append((COMMIT, forged_note.encode()))
    return file_of(out)


TAMPERINGS: list[Callable[[bytes, random.Random], bytes]] = [
    flip,
    flip_with_a_right_checksum,
    reorder,
    leave_out,
    repeat,
    truncate,
    truncate_at_a_record,
    rewrite_the_tail,
    rewrite_the_tail_with_the_key,
    rewrite_everything_with_another_key,
]


@pytest.fixture
def signed(path: Path, key: SigningKey, write: Any) -> tuple[bytes, Checkpoint]:
    """A journal of a few batches and the checkpoint that was copied from it."""
    write(1, 5, 20, 1, 9)
    journal = open_journal(path, key)
    head = journal.head()
    journal.close()
    return path.read_bytes(), head


@pytest.mark.parametrize("tamper", TAMPERINGS)
def test_a_hundred_tamperings_of_each_of_ten_kinds(
    path: Path, key: SigningKey, signed: tuple[bytes, Checkpoint], tamper: Any
) -> None:
    content, head = signed
    assert verify_file(path, key=key.verifier, against=head).is_good
    rng = random.Random(tamper.__name__)
    done = 0
    while done < 100:
        tampered = tamper(content, rng)
        if tampered == content:
            continue  # two equal records changed places
        path.write_bytes(tampered)
        verdict = verify_file(path, key=key.verifier, against=head)
        assert not verdict.is_good
        assert verdict.why
        done += 1
    if tamper in (flip, flip_with_a_right_checksum):
        assert verdict.integrity == "damaged" or verdict.completeness == "incomplete"
    if tamper is rewrite_the_tail_with_the_key:
        assert (verdict.integrity, verdict.completeness) == ("intact", "forked")


def test_every_single_bit(path: Path, key: SigningKey, write: Any) -> None:
    """Also without a copied checkpoint, and whoever flips it."""
    write(1)
    content = path.read_bytes()
    for bit in range(len(content) * 8):
        path.write_bytes(
            content[: bit // 8] + bytes([content[bit // 8] ^ 1 << bit % 8]) + content[bit // 8 + 1 :]
        )
        assert verify_file(path).integrity != "intact"


def test_integrity_and_completeness_are_two_questions(
    path: Path, key: SigningKey, signed: tuple[bytes, Checkpoint]
) -> None:
    content, head = signed
    frames = frames_of(content)
    commits = [number for number, (tag, _) in enumerate(frames) if tag == COMMIT]
    path.write_bytes(file_of(frames[: commits[-2] + 1]))  # the last batch is gone without a trace
    verdict = verify_file(path, key=key.verifier, against=head)
    assert (verdict.integrity, verdict.completeness, verdict.entries) == ("intact", "incomplete", 27)
    assert verify_file(path, key=key.verifier).completeness == "unknown"
    path.write_bytes(content + b"half a write")
    verdict = verify_file(path, key=key.verifier, against=head)
    assert (verdict.integrity, verdict.completeness, verdict.entries) == ("torn", "complete", 36)
    assert not verdict.is_good
    path.write_bytes(content)
    verdict = verify_file(path, against=head)
    assert (verdict.is_good, verdict.key_given, verdict.key) == (True, False, str(key.verifier))
    assert verdict.checkpoint == head


def test_a_file_with_its_own_key_proves_nothing_of_who_wrote_it(
    path: Path, key: SigningKey, signed: tuple[bytes, Checkpoint]
) -> None:
    content, head = signed
    path.write_bytes(rewrite_everything_with_another_key(content, random.Random(1)))
    own = verify_file(path)
    assert (own.integrity, own.key_given) == ("intact", False)
    known = verify_file(path, key=key.verifier, against=head)
    assert (known.integrity, known.completeness) == ("damaged", "forked")


def test_a_checkpoint_that_the_key_did_not_sign(
    path: Path, key: SigningKey, signed: tuple[bytes, Checkpoint]
) -> None:
    forged = sign(1, bytes(32), FORGER)
    for given in (key.verifier, None):
        with pytest.raises(ConfigError, match="not signed by"):
            verify_file(path, key=given, against=forged)


def test_what_cannot_be_read(path: Path, tmp_path: Path) -> None:
    for wrong in (path, tmp_path):
        with pytest.raises(ConfigError):
            verify_file(wrong)
    empty = tmp_path / "empty"
    empty.touch()
    assert verify_file(empty).integrity == "damaged"


def test_checking_writes_nothing(path: Path, signed: tuple[bytes, Checkpoint]) -> None:
    path.write_bytes(signed[0] + b"junk")
    path.chmod(0o400)
    assert verify_file(path).integrity == "torn"
    assert path.read_bytes() == signed[0] + b"junk"
