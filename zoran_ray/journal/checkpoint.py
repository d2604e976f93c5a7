"""A signed statement of how long the journal is and what is in it: a few lines to be copied elsewhere.

    zoran-journal/3f0c5a…          origin: which journal
    1234                           entries
    CsUYapGGPo4dkMgIAUqom/…        root hash, base64
    commit 56 7890                 number of this commit; bytes that were on disk before it

    — zoran-journal/3f0c5a… <base64 of key hash and Ed25519 signature>

Knows keys, no files. Source: C2SP tlog-checkpoint and signed-note.
"""

import re
from dataclasses import dataclass

from zoran_ray.errors import ConfigError
from zoran_ray.journal.keys import SigningKey, VerifierKey, decode64, encode64
from zoran_ray.journal.tree import HASH_BYTES

MOST_CHECKPOINT_BYTES = 4096

_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_COMMIT = "commit"
_MOST_SIGNATURES = 16
_SIGNED_BY = "— "


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Attributes:
    origin: Which journal.
    size: Entries.
    root: Hash over them.
    commit: Number of the commit, from 0, so that none can be left out unseen.
    synced: Bytes of the file that were on disk before it was written.
    note: The text that was signed and its signatures.
    """

    origin: str
    size: int
    root: bytes
    commit: int
    synced: int
    note: str

    def is_signed_by(self, key: VerifierKey) -> bool:
        """Whether the text bears this key's signature."""
        body, _, signatures = self.note.partition("\n\n")
        start = f"{_SIGNED_BY}{key.name} "
        for line in signatures.split("\n")[:_MOST_SIGNATURES]:
            signature = decode64(line.removeprefix(start)) if line.startswith(start) else None
            if signature is not None and signature[:4] == key.mark:
                return key.name == self.origin and key.verifies(signature[4:], f"{body}\n".encode())
        return False


def sign(size: int, root: bytes, key: SigningKey, commit: int = 0, synced: int = 0) -> Checkpoint:
    """The checkpoint of a journal with `size` entries under `root`."""
    body = f"{key.name}\n{size}\n{encode64(root)}\n{_COMMIT} {commit} {synced}\n"
    signature = encode64(key.verifier.mark + key.sign(body.encode()))
    return Checkpoint(key.name, size, root, commit, synced, f"{body}\n{_SIGNED_BY}{key.name} {signature}\n")


def parse(text: str) -> Checkpoint:
    """Reads a checkpoint; who signed it is another question.

    Raises:
        ConfigError: It is none.
    """
    if len(text) > MOST_CHECKPOINT_BYTES:
        raise _wrong("is too long")
    note = text.rstrip("\n") + "\n"
    body, blank, signatures = note.partition("\n\n")
    lines = body.split("\n")
    if len(lines) != 4 or not blank:
        raise _wrong("has not four lines, an empty one and signatures")
    origin, size, encoded, extension = lines
    root = decode64(encoded)
    if not origin or root is None or len(root) != HASH_BYTES:
        raise _wrong("has no origin or no root hash")
    word, _, numbers = extension.partition(" ")
    commit, _, synced = numbers.partition(" ")
    if word != _COMMIT or not all(_NUMBER.fullmatch(each) for each in (size, commit, synced)):
        raise _wrong("has a number that is not written as it should be")
    if not all(line.startswith(_SIGNED_BY) for line in signatures.removesuffix("\n").split("\n")):
        raise _wrong("has lines that are no signatures")
    return Checkpoint(origin, int(size), root, int(commit), int(synced), note)


def _wrong(what: str) -> ConfigError:
    return ConfigError(f"This is no checkpoint of a journal: it {what}. Copy all of `zoran journal head`.")
