"""Keys that hide names in the journal: one a tenant, one a tenant's subject, and gone when asked.

An entry stays for ever; what it says of a person ends with the key. Whoever has this file can try names
against the journal, so it is as private as the memory is. It holds no name itself: keys are found by a
keyed hash of the name. Synchronous; one thread at a time. Knows transactions, not files: those come in
from outside.
"""

import hmac
import secrets
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

SALTS_FILE = "journal-salts.sqlite"
SCHEMA = """
CREATE TABLE secret (id INTEGER PRIMARY KEY CHECK (id = 1), key BLOB NOT NULL) STRICT;
CREATE TABLE salts (name BLOB PRIMARY KEY, tenant BLOB NOT NULL, salt BLOB NOT NULL) STRICT;
CREATE INDEX salts_of_tenant ON salts (tenant)
"""

MOST_CACHED = 10_000
SALT_BYTES = 32

Name = tuple[str, str | None]
"""A tenant, and its subject or None for the tenant itself."""


class Database(Protocol):
    """Transactions on one file with the tables of `SCHEMA`."""

    def exists(self) -> bool: ...

    def close(self) -> None: ...

    def read(self) -> AbstractContextManager[sqlite3.Connection]: ...

    def write(self) -> AbstractContextManager[sqlite3.Connection]: ...


class Salts:
    """Every method raises `ConfigError` where the file is damaged and `Unavailable` where it is busy.

    Args:
        database: The file; nobody else writes to it.
        most_cached: Keys that are kept in memory.
    """

    def __init__(self, database: Database, most_cached: int = MOST_CACHED) -> None:
        self._database = database
        self._most_cached = most_cached
        self._cache: OrderedDict[Name, bytes] = OrderedDict()

    def of(self, names: Iterable[Name]) -> dict[Name, bytes]:
        """A key for each name; those that are new are made together, and on disk on return."""
        wanted = dict.fromkeys(names)
        found = {name: salt for name in wanted if (salt := self._cached(name)) is not None}
        if missing := [name for name in wanted if name not in found]:
            with self._database.write() as db:
                secret = _secret(db)
                fresh = {name: _salt(db, secret, name) for name in missing}
            self._keep(fresh)
            found |= fresh
        return found

    def known(self, tenant: str, subject: str | None = None) -> bytes | None:
        """The key of a name; None where it has none: nothing in the journal is known to be of it."""
        if (salt := self._cached((tenant, subject))) is not None or not self._database.exists():
            return salt
        with self._database.write() as db:
            salt = _found(db, _place(_secret(db), tenant, subject))
        if salt is not None:
            self._keep({(tenant, subject): salt})
        return salt

    def forget(self, tenant: str, subject: str | None = None) -> None:
        """Delete the key of a subject, or those of a tenant and of all its subjects.

        What the journal says of them says nothing any more; what is written of them later is under another
        key. On return no file holds the old one.
        """
        for name in [n for n in self._cache if n[0] == tenant and subject in (None, n[1])]:
            del self._cache[name]
        if not self._database.exists():
            return
        with self._database.write() as db:
            db.execute("PRAGMA secure_delete=ON")  # zeros over what was there
            secret = _secret(db)
            if subject is None:
                db.execute("DELETE FROM salts WHERE tenant = ?", (_place(secret, tenant, None),))
            else:
                db.execute("DELETE FROM salts WHERE name = ?", (_place(secret, tenant, subject),))
        # The last connection that closes takes the write-ahead log with it, where the key may be too.
        self._database.close()

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        self._database.close()

    def _cached(self, name: Name) -> bytes | None:
        salt = self._cache.get(name)
        if salt is not None:
            self._cache.move_to_end(name)
        return salt

    def _keep(self, fresh: dict[Name, bytes]) -> None:
        self._cache.update(fresh)
        while len(self._cache) > self._most_cached:
            self._cache.popitem(last=False)


def _secret(db: sqlite3.Connection) -> bytes:
    """What the file's hashes of names are made with."""
    db.execute("INSERT OR IGNORE INTO secret VALUES (1, ?)", (secrets.token_bytes(SALT_BYTES),))
    (key,) = db.execute("SELECT key FROM secret").fetchone()
    return bytes(key)


def _salt(db: sqlite3.Connection, secret: bytes, name: Name) -> bytes:
    place = _place(secret, *name)
    if (known := _found(db, place)) is not None:
        return known
    fresh = secrets.token_bytes(SALT_BYTES)
    db.execute("INSERT INTO salts VALUES (?, ?, ?)", (place, _place(secret, name[0], None), fresh))
    return fresh


def _found(db: sqlite3.Connection, place: bytes) -> bytes | None:
    row = db.execute("SELECT salt FROM salts WHERE name = ?", (place,)).fetchone()
    return None if row is None else bytes(row[0])


def _place(secret: bytes, tenant: str, subject: str | None) -> bytes:
    """Where the key of a name is: its length keeps a tenant's end from being a subject's beginning."""
    raw = tenant.encode()
    told = (
        b"t%d:%s" % (len(raw), raw) if subject is None else b"s%d:%s%s" % (len(raw), raw, subject.encode())
    )
    return hmac.digest(secret, told, "sha256")
