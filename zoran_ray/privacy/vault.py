"""What placeholders stand for: encrypted on disk, each tenant's for itself, for a limited time.

Values are sealed with AES-SIV (RFC 5297), which needs no nonce that could repeat; tenant and placeholder
are authenticated with them, so a row moved to another place does not open. Tenants are stored as digests.
"""

import hashlib
import hmac
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from zoran_ray.access.private_db import PrivateDatabase
from zoran_ray.errors import ConfigError
from zoran_ray.privacy.keys import KEY_FILE, Keys, make_key_file, read_keys

VAULT_FILE = "privacy.sqlite"

SCHEMA = """
CREATE TABLE vault (
    tenant BLOB NOT NULL, placeholder TEXT NOT NULL, sealed BLOB NOT NULL, expires REAL NOT NULL,
    PRIMARY KEY (tenant, placeholder)
) STRICT, WITHOUT ROWID;
CREATE INDEX vault_expires ON vault (tenant, expires)
"""
_PUT = """
INSERT INTO vault (tenant, placeholder, sealed, expires) VALUES (?, ?, ?, ?)
ON CONFLICT (tenant, placeholder) DO UPDATE SET expires = max(expires, excluded.expires)
"""
_TRIM = """
DELETE FROM vault WHERE tenant = ?1 AND placeholder IN (
    SELECT placeholder FROM vault WHERE tenant = ?1 ORDER BY expires DESC LIMIT -1 OFFSET ?2
)
"""
_AT_ONCE = 500
"""Placeholders in one question; SQLite allows 32,766 variables."""


class Vault:
    """The values behind placeholders. Any number of threads and processes may use one file.

    Every method raises `ConfigError` when the file is damaged, open to other users or of another key, and
    `Unavailable` when another process keeps it busy.

    Args:
        path: The file; made by the first `put`, its folder too (0700).
        keys: To seal values with.
        clock: Unix time in seconds.
        ttl_s: How long a value is kept after it was last put, in seconds.
        most_per_tenant: Values of one tenant; beyond, its own ones that expire first go.
    """

    def __init__(
        self,
        path: Path,
        keys: Keys,
        clock: Callable[[], float],
        *,
        ttl_s: float,
        most_per_tenant: int = 100_000,
    ) -> None:
        self._db = PrivateDatabase(
            path, SCHEMA, "The privacy vault", "begin a new one; what was masked stays so", keep_open=True
        )
        self._cipher = AESSIV(keys.sealing)
        self._tenant_key = keys.sealing
        self._clock = clock
        self._ttl_s = ttl_s
        self._most = most_per_tenant

    def put(self, tenant: str, values: Mapping[str, str]) -> None:
        """Keeps values under their placeholders; durable on return. One already there lives longer."""
        if not values:
            return
        owner, now = self._owner(tenant), self._clock()
        rows = [
            (owner, name, self._sealed(owner, name, value), now + self._ttl_s)
            for name, value in values.items()
        ]
        with self._writing() as db:
            db.execute("DELETE FROM vault WHERE tenant = ? AND expires <= ?", (owner, now))
            db.executemany(_PUT, rows)
            db.execute(_TRIM, (owner, self._most))

    def get(self, tenant: str, placeholders: Collection[str]) -> dict[str, str]:
        """The values of those placeholders that are this tenant's and not expired."""
        if not placeholders or not self._db.exists():
            return {}
        owner, now, found = self._owner(tenant), self._clock(), {}
        with self._db.read() as db:
            for names in _batches(placeholders):
                marks = ", ".join("?" * len(names))
                question = (
                    "SELECT placeholder, sealed FROM vault"  # noqa: S608 - only question marks are put in
                    f" WHERE tenant = ? AND expires > ? AND placeholder IN ({marks})"
                )
                for name, sealed in db.execute(question, (owner, now, *names)):
                    found[name] = self._opened(owner, name, sealed)
        return found

    def forget(self, tenant: str, placeholders: Collection[str] | None = None) -> int:
        """Deletes some of a tenant's values, or all of them. Returns: how many there were."""
        if not self._db.exists():
            return 0
        owner = self._owner(tenant)
        with self._writing() as db:
            if placeholders is None:
                return db.execute("DELETE FROM vault WHERE tenant = ?", (owner,)).rowcount
            question = "DELETE FROM vault WHERE tenant = ? AND placeholder = ?"
            return sum(db.execute(question, (owner, name)).rowcount for name in set(placeholders))

    def sweep(self) -> int:
        """Deletes everybody's expired values. Returns: how many there were."""
        if not self._db.exists():
            return 0
        with self._writing() as db:
            return db.execute("DELETE FROM vault WHERE expires <= ?", (self._clock(),)).rowcount

    def close(self) -> None:
        """Lets go of the file; the next use opens it again."""
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._db.write() as db:
            db.execute("PRAGMA secure_delete=ON").fetchall()  # what is deleted is overwritten
            yield db

    def _owner(self, tenant: str) -> bytes:
        return hmac.new(
            self._tenant_key, b"tenant\x00" + tenant.encode("utf-8", "surrogatepass"), hashlib.sha256
        ).digest()

    def _sealed(self, owner: bytes, name: str, value: str) -> bytes:
        return self._cipher.encrypt(value.encode("utf-8", "surrogatepass"), [owner, name.encode()])

    def _opened(self, owner: bytes, name: str, sealed: bytes) -> str:
        try:
            return self._cipher.decrypt(sealed, [owner, name.encode()]).decode("utf-8", "surrogatepass")
        except (InvalidTag, ValueError) as error:
            raise ConfigError(
                f"A value in the privacy vault {self._db.path} does not open: it was changed, or sealed"
                f" with another {KEY_FILE}. Restore both from the same backup."
            ) from error


def _batches(names: Collection[str]) -> Iterator[tuple[str, ...]]:
    rest = iter(names)
    while batch := tuple(islice(rest, _AT_ONCE)):
        yield batch


def keys_in(folder: Path) -> Keys:
    """The keys of a folder; makes them where there is neither key nor vault.

    Raises:
        ConfigError: The key is gone while the vault is there, or is damaged or open to other users.
    """
    if not (folder / VAULT_FILE).exists():
        make_key_file(folder / KEY_FILE)
    return read_keys(folder / KEY_FILE)
