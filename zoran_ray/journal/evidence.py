"""Proofs as JSON documents that stand alone: whoever has one and the verifier key can check it anywhere.

    inclusion     this entry is number n of the journal under this checkpoint
    consistency   the journal under this checkpoint begins with the journal under that older one

Knows no file and no running journal.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.journal.checkpoint import Checkpoint, parse
from zoran_ray.journal.keys import VerifierKey
from zoran_ray.journal.proofs import consistency_holds, inclusion_holds
from zoran_ray.journal.tree import leaf_hash

MOST_EVIDENCE_BYTES = 65_536

_MARK = "zoran_journal_proof"
_VERSION = 1
_LONGEST_PATH = 128


def inclusion_evidence(
    index: int, data: bytes, path: Sequence[bytes], checkpoint: Checkpoint
) -> dict[str, Any]:
    """That the entry with these bytes is number `index` under the checkpoint."""
    return {
        _MARK: _VERSION,
        "shows": "inclusion",
        "index": index,
        "entry": data.decode(),
        "path": [node.hex() for node in path],
        "checkpoint": checkpoint.note,
    }


def consistency_evidence(
    old: Checkpoint | int, path: Sequence[bytes], checkpoint: Checkpoint
) -> dict[str, Any]:
    """That the journal under the checkpoint begins with the one under `old`.

    Args:
        old: The older checkpoint. Its size alone, where only whoever asks has it: the document is a proof
            once `old_checkpoint` is put into it.
    """
    known = {"old_size": old} if isinstance(old, int) else {"old_checkpoint": old.note}
    return {
        _MARK: _VERSION,
        "shows": "consistency",
        **known,
        "path": [node.hex() for node in path],
        "checkpoint": checkpoint.note,
    }


def read_evidence(text: bytes) -> dict[str, Any]:
    """The document. Raises: ConfigError: It is none."""
    try:
        document = json.loads(text[: MOST_EVIDENCE_BYTES + 1])
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get(_MARK) != _VERSION:
        raise ConfigError("This is no proof of `zoran journal prove`, or a newer version's.")
    return document


def evidence_holds(document: Mapping[str, Any], key: VerifierKey) -> bool:
    """Whether what the document says follows from what `key` signed.

    Raises:
        ConfigError: It is not written as a proof.
    """
    try:
        path = [bytes.fromhex(node) for node in document["path"][:_LONGEST_PATH]]
        checkpoint = parse(document["checkpoint"])
        if not checkpoint.is_signed_by(key):
            return False
        if document["shows"] == "inclusion":
            leaf = leaf_hash(document["entry"].encode())
            return inclusion_holds(leaf, _number(document["index"]), checkpoint.size, path, checkpoint.root)
        old = parse(document["old_checkpoint"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError("This proof is not complete or not written as one. Copy it again.") from error
    if document["shows"] != "consistency":
        raise InvalidRequest("This version checks inclusion and consistency only.", param="shows")
    return old.is_signed_by(key) and consistency_holds(
        old.size, old.root, checkpoint.size, checkpoint.root, path
    )


def _number(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("not a number")
    return value
