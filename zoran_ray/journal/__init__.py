"""What happened, written so that nobody can change it unseen: an append-only Merkle log. No Ray, no HTTP.

key = load_or_make_key(folder / KEY_FILE)
journal = open_journal(folder / JOURNAL_FILE, key)     # journal.recovery says what a crash had left
group = GroupCommit(journal)                           # for many threads
group.append([Entry(Kind.MEMORY_WRITE, at_ms, {"record": "r-1", "subject": blinded(name, secret)})])
event = Event(Kind.MEMORY_WRITE, {"record": "r-1"}, tenant, subject)
group.append([entry_of(event, Salts(database), now_ms)])   # names under keys that can be forgotten
journal.head().note                                    # copy it elsewhere
verify_file(folder / JOURNAL_FILE, key=key.verifier, against=copied)
"""

from zoran_ray.journal.checkpoint import Checkpoint
from zoran_ray.journal.checkpoint import parse as parse_checkpoint
from zoran_ray.journal.contents import MOST_BATCH, Contents, Fault, read_contents
from zoran_ray.journal.entry import Entry, Kind, blinded, token
from zoran_ray.journal.event import Event, entry_of
from zoran_ray.journal.evidence import (
    MOST_EVIDENCE_BYTES,
    consistency_evidence,
    evidence_holds,
    inclusion_evidence,
    read_evidence,
)
from zoran_ray.journal.group import GroupCommit
from zoran_ray.journal.keys import KEY_FILE, SigningKey, VerifierKey, load_key, load_or_make_key
from zoran_ray.journal.log import JOURNAL_FILE, Journal, Receipt, Recovery, open_journal
from zoran_ray.journal.proofs import consistency_holds, inclusion_holds
from zoran_ray.journal.rows import checkpoint_row, entry_row
from zoran_ray.journal.salts import SALTS_FILE, Salts
from zoran_ray.journal.tree import Tree, leaf_hash, node_hash
from zoran_ray.journal.verify import Verdict, opened, verify_file

__all__ = [
    "JOURNAL_FILE",
    "KEY_FILE",
    "MOST_BATCH",
    "MOST_EVIDENCE_BYTES",
    "SALTS_FILE",
    "Checkpoint",
    "Contents",
    "Entry",
    "Event",
    "Fault",
    "GroupCommit",
    "Journal",
    "Kind",
    "Receipt",
    "Recovery",
    "Salts",
    "SigningKey",
    "Tree",
    "Verdict",
    "VerifierKey",
    "blinded",
    "checkpoint_row",
    "consistency_evidence",
    "consistency_holds",
    "entry_of",
    "entry_row",
    "evidence_holds",
    "inclusion_evidence",
    "inclusion_holds",
    "leaf_hash",
    "load_key",
    "load_or_make_key",
    "node_hash",
    "open_journal",
    "opened",
    "parse_checkpoint",
    "read_contents",
    "read_evidence",
    "token",
    "verify_file",
]
