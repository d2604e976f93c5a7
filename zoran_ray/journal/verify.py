"""Verdicts on a journal's file, with nothing but the file, a key and a copied checkpoint. Writes nothing.

Two questions, answered apart. Integrity: is every byte what its key signed? Completeness: is all there
that a checkpoint, copied elsewhere at some time, says there was? A file cut at a commit is intact,
but incomplete.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoran_ray.errors import ConfigError
from zoran_ray.journal.checkpoint import Checkpoint
from zoran_ray.journal.contents import Contents, read_contents
from zoran_ray.journal.keys import VerifierKey
from zoran_ray.journal.private_file import open_plain

Integrity = Literal["intact", "torn", "damaged"]
Completeness = Literal["complete", "incomplete", "forked", "unknown"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a file.

    Attributes:
        integrity: `intact`; `torn`, sound up to its last commit, then an unfinished write; `damaged`.
        completeness: `complete`, all that the copied checkpoint says is there; `incomplete`, there is less;
            `forked`, there is something else; `unknown`, no checkpoint was given.
        entries: Entries before the first fault.
        checkpoint: The last one before it.
        key: The verifier key that was used; empty where the file has none and none was given.
        key_given: It came from outside. A key from the file itself shows that nothing was damaged, not
            who wrote it.
        why: What is wrong; empty where nothing is.
    """

    integrity: Integrity
    completeness: Completeness
    entries: int
    checkpoint: Checkpoint | None
    key: str
    key_given: bool
    why: str

    @property
    def is_good(self) -> bool:
        """Nothing is wrong, as far as could be told."""
        return self.integrity == "intact" and self.completeness in ("complete", "unknown")


def verify_file(
    path: Path, *, key: VerifierKey | None = None, against: Checkpoint | None = None
) -> Verdict:
    """Go through a whole file and check everything.

    Args:
        path: The file; nobody needs to run.
        key: Who must have signed; the key that the file names by default.
        against: A checkpoint that was copied elsewhere.

    Raises:
        ConfigError: The file cannot be read, or `against` is not signed by the key.
    """
    if key is not None and against is not None:
        _refuse_unsigned(against, key)
    with opened(path) as read:
        try:
            contents = read_contents(read)
        except ConfigError as error:
            completeness: Completeness = "unknown" if against is None else "incomplete"
            return Verdict("damaged", completeness, 0, None, str(key or ""), key is not None, error.message)
        if key is None and against is not None:
            _refuse_unsigned(against, contents.key)
        return _judged(contents, key, against)


@contextmanager
def opened(path: Path, *, on_disk: bool = False) -> Iterator["ReadFile"]:
    """A file to read, as long as it is now, also while somebody appends to it.

    Args:
        on_disk: Wait until that much is on disk, for whoever is to rely on it.

    Raises:
        ConfigError: It cannot be read.
    """
    handle = open_plain(path, "The journal")
    try:
        size = os.fstat(handle).st_size
        if on_disk:
            os.fsync(handle)
        yield ReadFile(handle, size)
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class ReadFile:
    """The first `size` bytes of an open file."""

    handle: int
    size: int

    def __call__(self, at: int, most: int) -> bytes:
        return os.pread(self.handle, max(0, min(most, self.size - at)), at)


def _judged(contents: Contents, key: VerifierKey | None, against: Checkpoint | None) -> Verdict:
    integrity, why = _integrity(contents, key)
    completeness, missing = _completeness(contents, against)
    return Verdict(
        integrity,
        completeness,
        contents.tree.size,
        contents.checkpoint,
        str(key or contents.key),
        key is not None,
        " ".join(filter(None, (why, missing))),
    )


def _integrity(contents: Contents, key: VerifierKey | None) -> tuple[Integrity, str]:
    fault = contents.fault
    if key is not None and contents.key != key:
        return "damaged", "The file is signed with another key than the given one."
    if fault is None:
        return "intact", ""
    where = f"From byte {fault.at} on the file {fault.why}."
    if fault.damaged:
        return "damaged", where
    return (
        "torn",
        f"{where} A crash or a running write leaves this; whoever opens the journal next cuts it.",
    )


def _completeness(contents: Contents, against: Checkpoint | None) -> tuple[Completeness, str]:
    if against is None:
        return "unknown", ""
    root = contents.root_at(against.size)
    if root is None:
        return "incomplete", f"The checkpoint says {against.size} entries, {contents.tree.size} are sound."
    if root != against.root:
        return "forked", f"The first {against.size} entries are not those of the checkpoint."
    return "complete", ""


def _refuse_unsigned(checkpoint: Checkpoint, key: VerifierKey) -> None:
    if not checkpoint.is_signed_by(key):
        raise ConfigError(
            f"The checkpoint is not signed by {key}: it was copied badly or is another journal's."
            " Give the right one, or the right key."
        )
