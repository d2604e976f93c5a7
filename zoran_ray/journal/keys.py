"""The journal's Ed25519 keys, as text and in a file that only its owner can read. Knows no journal.

Both texts are those of the signed-note format, so that other tools can check what we sign:
`name+hash+key` for verifying and `PRIVATE+KEY+name+hash+key` for signing.

Source: C2SP signed-note (https://c2sp.org/signed-note).
"""

import base64
import binascii
import os
import re
import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from zoran_ray.errors import ConfigError
from zoran_ray.journal.private_file import create, open_private

KEY_FILE = "journal.key"

_ED25519 = b"\x01"
_PRIVATE = "PRIVATE+KEY+"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}")
_MOST_BYTES = 512
_WHAT = "The journal's key"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Checks signatures of one journal.

    Attributes:
        name: The journal's, the same as the origin of its checkpoints.
        public: 32 bytes.
    """

    name: str
    public: bytes

    @property
    def mark(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.mark.hex()}+{encode64(_ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """The key of this text. Raises: ConfigError: It is none."""
        name, _, rest = text.strip().partition("+")
        mark, _, encoded = rest.partition("+")
        raw = decode64(encoded)
        if not _NAME.fullmatch(name) or raw is None or len(raw) != 1 + _KEY_BYTES or raw[:1] != _ED25519:
            raise ConfigError("This is no verifier key of a journal; expected `name+hash+key`.")
        key = cls(name, raw[1:])
        if key.mark.hex() != mark:
            raise ConfigError("This verifier key has a wrong hash: it was copied badly. Copy it again.")
        return key

    def verifies(self, signature: bytes, text: bytes) -> bool:
        """Whether the holder of this key signed `text`."""
        try:
            _public_key(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Signs checkpoints of one journal. Its secret shows in no `repr`."""

    name: str
    seed: bytes = field(repr=False)
    verifier: VerifierKey = field(init=False)
    _private: Ed25519PrivateKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        private = Ed25519PrivateKey.from_private_bytes(self.seed)
        object.__setattr__(self, "_private", private)
        object.__setattr__(
            self, "verifier", VerifierKey(self.name, private.public_key().public_bytes_raw())
        )

    @classmethod
    def new(cls) -> "SigningKey":
        """A fresh key under a fresh name."""
        return cls(f"zoran-journal/{secrets.token_hex(8)}", secrets.token_bytes(_KEY_BYTES))

    def sign(self, text: bytes) -> bytes:
        """64 bytes."""
        return self._private.sign(text)

    def secret_text(self) -> str:
        """What is written to the key's file, and nowhere else."""
        return f"{_PRIVATE}{self.name}+{self.verifier.mark.hex()}+{encode64(_ED25519 + self.seed)}"


@lru_cache(maxsize=16)
def _public_key(public: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public)


def load_key(path: Path) -> SigningKey:
    """The key in a file.

    Raises:
        ConfigError: Missing, a link, open to other users, or no key; says what to do.
    """
    with os.fdopen(open_private(path, os.O_RDONLY, _WHAT), "rb") as file:
        return _parsed(path, file.read(_MOST_BYTES))


def load_or_make_key(path: Path) -> SigningKey:
    """The key in a file, which is made (0600, in a 0700 folder) where it is missing.

    Raises:
        ConfigError: As `load_key`.
    """
    create(path, SigningKey.new().secret_text().encode() + b"\n", _WHAT)
    return load_key(path)


def encode64(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode()


def decode64(text: str) -> bytes | None:
    """Standard base64 that could not be written in another way; None for all else."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if encode64(data) == text else None


def _parsed(path: Path, text: bytes) -> SigningKey:
    name, _, rest = text.decode("ascii", "replace").strip().removeprefix(_PRIVATE).partition("+")
    mark, _, encoded = rest.partition("+")
    raw = decode64(encoded)
    if text.startswith(_PRIVATE.encode()) and _NAME.fullmatch(name) and raw and raw[:1] == _ED25519:
        seed = raw[1:]
        if len(seed) == _KEY_BYTES:
            key = SigningKey(name, seed)
            if key.verifier.mark.hex() == mark:
                return key
    raise ConfigError(
        f"{path} holds no signing key of a journal. Restore it from a backup; without it nothing can be"
        " added to its journal, which can still be verified."
    )
