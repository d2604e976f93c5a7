"""The key itself: how one is made, and the digest that stands for it everywhere else."""

import hashlib
import secrets


def make_secret() -> str:
    """A new API key: `zk-` and 256 random bits."""
    return f"zk-{secrets.token_urlsafe(32)}"


def digest_of(secret: str) -> str:
    """SHA-256, hex. No salt or stretching: 256 random bits cannot be guessed or tabulated."""
    return hashlib.sha256(secret.encode()).hexdigest()
