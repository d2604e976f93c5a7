"""The secret of a deployment's masking, in a file that only its owner can read."""

import secrets
import shlex
import stat
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from zoran_ray.errors import ConfigError
from zoran_ray.folders import create_file

KEY_FILE = "privacy.key"
SECRET_BYTES = 32


class Keys:
    """Two keys derived from one secret (HKDF-SHA256, RFC 5869): to name values, and to seal them.

    Args:
        secret: 32 random bytes.

    Attributes:
        naming: Key of placeholders, 32 bytes.
        sealing: Key of AES-256-SIV, 64 bytes.
    """

    __slots__ = ("naming", "sealing")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise ConfigError(f"The privacy key must have {SECRET_BYTES} bytes, not {len(secret)}.")
        self.naming = _derived(secret, b"zoran privacy placeholders 1", 32)
        self.sealing = _derived(secret, b"zoran privacy vault 1", 64)

    def __reduce__(self) -> str:
        raise TypeError("keys stay in their process")


def _derived(secret: bytes, purpose: bytes, size: int) -> bytes:
    return HKDF(SHA256(), size, salt=None, info=purpose).derive(secret)


def read_keys(path: Path) -> Keys:
    """The keys in a file. Raises: ConfigError: It is missing, damaged or open to other users."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        secret = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"The privacy key {path} cannot be read: {error.strerror}. Without it nothing can be unmasked:"
            " restore it from a backup."
        ) from error
    if mode & 0o077:
        raise ConfigError(
            f"{path} is open to other users (mode {mode:03o}). Run: chmod 600 {shlex.quote(str(path))}"
        )
    if len(secret) != SECRET_BYTES:
        raise ConfigError(f"The privacy key {path} is damaged: restore it from a backup.")
    return Keys(secret)


def make_key_file(path: Path) -> None:
    """Writes a new secret, whole or not at all; leaves a file that is already there.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_file(path, secrets.token_bytes(SECRET_BYTES))
    except OSError as error:
        raise ConfigError(
            f"The privacy key {path} cannot be written: {error.strerror}."
            " Check the folder's owner, its permissions and the free space."
        ) from error
