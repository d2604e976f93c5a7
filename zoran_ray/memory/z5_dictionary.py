"""zstd dictionaries for `Z5::`: what one is, those we ship, and the trainer.

Each kind of record has a series of them. A dictionary is never changed, only followed by a newer one:
frames name theirs by a hash of its bytes, and old frames must stay readable. Files are
`z5_dictionaries/<kind>.<number>.zdict`; the highest number is written with.

`conversation.1` was made by `zoran z5 train conversation --made-up`, which is
`train("conversation", conversations())`: conversations and notes in English and French, made up by
`z5_samples` with seed 1. No text of any person or data set went into it.
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

import zstandard

from zoran_ray.errors import InvalidRequest

SIZE_BYTES = 32 * 1024
"""Of a trained dictionary. Twice as much gains 1 % on short records."""
MIN_SAMPLES = 100
MAX_SAMPLE_BYTES = 64 * 1024 * 1024

_FOLDER = Path(__file__).parent / "z5_dictionaries"


@dataclass(frozen=True)
class Dictionary:
    """Bytes in zstd's dictionary format, and the kind of record they help with."""

    kind: str
    content: bytes = field(repr=False)

    @cached_property
    def sha256(self) -> bytes:
        """Of its content."""
        return hashlib.sha256(self.content).digest()

    @property
    def id(self) -> str:
        """The first three base64url characters of its hash: they tell a few apart and are short."""
        return base64.urlsafe_b64encode(self.sha256)[:3].decode()


@cache
def shipped() -> tuple[Dictionary, ...]:
    """The dictionaries in this package, older ones of a kind first."""
    files = sorted(_FOLDER.glob("*.*.zdict"), key=lambda path: int(path.suffixes[0][1:]))
    return tuple(Dictionary(path.name.partition(".")[0], path.read_bytes()) for path in files)


def train(kind: str, samples: Iterable[bytes], size_bytes: int = SIZE_BYTES) -> Dictionary:
    """A dictionary from records such as those that will be written. The same samples give the same one.

    It holds pieces of its samples in the clear: what may not be kept may not go into it.

    Raises:
        InvalidRequest: Too few samples, too much of them, or nothing in common among them.
    """
    chosen: list[bytes | bytearray | memoryview] = [sample for sample in samples if sample]
    if len(chosen) < MIN_SAMPLES:
        raise InvalidRequest(f"Training needs {MIN_SAMPLES} records at least, not {len(chosen)}.")
    if sum(map(len, chosen)) > MAX_SAMPLE_BYTES:
        raise InvalidRequest(f"Training takes {MAX_SAMPLE_BYTES} bytes of records at most; take a sample.")
    try:
        made = zstandard.train_dictionary(size_bytes, chosen, level=19)
    except zstandard.ZstdError as wrong:
        raise InvalidRequest(
            f"zstd finds no dictionary in these records: give it more. ({wrong})"
        ) from wrong
    return Dictionary(kind, made.as_bytes())
