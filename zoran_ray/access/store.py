"""API keys on disk. Never the keys themselves: only their SHA-256, which gateways compare against."""

import math
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoran_ray.access.new_key import KEY_ID_PREFIX, new_key
from zoran_ray.access.private_db import PrivateDatabase
from zoran_ray.access.secret import digest_of, make_secret
from zoran_ray.errors import ConfigError
from zoran_ray.messages import KeyInfo, KeySnapshot

KeyState = Literal["live", "expired", "revoked"]

SCHEMA = """
CREATE TABLE keys (
    key_id TEXT PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL UNIQUE,
    models TEXT NOT NULL, requests_per_min INTEGER, tokens_per_min INTEGER, expires REAL,
    tenant TEXT NOT NULL, created REAL NOT NULL, revoked REAL, usd_per_day REAL, usd_per_request REAL
) STRICT;
CREATE TABLE version (only INTEGER PRIMARY KEY CHECK (only = 1), version INTEGER NOT NULL) STRICT;
INSERT INTO version VALUES (1, 0)
"""
UPGRADES = (
    ("ALTER TABLE keys ADD COLUMN usd_per_day REAL", "ALTER TABLE keys ADD COLUMN usd_per_request REAL"),
)
INSERT = """
INSERT INTO keys (key_id, name, digest, models, requests_per_min, tokens_per_min, expires, tenant,
    usd_per_day, usd_per_request, created)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT = """
SELECT key_id, name, digest, models, requests_per_min, tokens_per_min, expires, tenant,
    usd_per_day, usd_per_request, created, revoked
FROM keys ORDER BY created, rowid
"""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key that was ever created.

    Attributes:
        created: Unix time in seconds.
        revoked: Unix time in seconds, None if it was not.
    """

    info: KeyInfo
    state: KeyState
    created: float
    revoked: float | None


class KeyStore:
    """All keys, in one private SQLite file that several processes may use at once.

    Every method raises `ConfigError` when the file is damaged or open to other users, and `Unavailable`
    when another process keeps it busy.

    Args:
        path: The file; made by the first `create`.
        clock: Unix time in seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._db = PrivateDatabase(
            path, SCHEMA, "The key store", "create the keys again", upgrades=UPGRADES
        )
        self._clock = clock

    def create(
        self,
        name: str,
        *,
        models: Iterable[str] = (),
        requests_per_min: int | None = None,
        tokens_per_min: int | None = None,
        expires: float | None = None,
        tenant: str = "",
        usd_per_day: float | None = None,
        usd_per_request: float | None = None,
    ) -> tuple[KeyInfo, str]:
        """Makes a key.

        Args:
            name: For people; free again once its key is revoked or expired.
            models: Glob patterns of the models it may use; none means all.
            requests_per_min: Most requests in any 60 s.
            tokens_per_min: Most tokens in any 60 s.
            expires: Unix time in seconds.
            tenant: Whose memory and caches it shares.
            usd_per_day: Most USD in one UTC day.
            usd_per_request: Most USD that one request may cost.

        Returns:
            What is stored, and the key itself, which nobody can show again.

        Raises:
            ConfigError: An argument is wrong, or the name is taken.
        """
        now = self._clock()
        new = new_key(
            now,
            name=name,
            models=tuple(models),
            requests_per_min=requests_per_min,
            tokens_per_min=tokens_per_min,
            expires=expires,
            tenant=tenant,
            usd_per_day=usd_per_day,
            usd_per_request=usd_per_request,
        )
        secret = make_secret()
        info = KeyInfo(
            key_id=KEY_ID_PREFIX + secrets.token_hex(6), digest=digest_of(secret), **new.model_dump()
        )
        with self._db.write() as db:
            if any(row.info.name == name and row.state == "live" for row in _rows(db, now)):
                raise ConfigError(
                    f"A key named {name} exists. Choose another name or run: zoran keys revoke {name}",
                    param="name",
                )
            _insert(db, info, now)
            _bump(db)
        return info, secret

    def list(self) -> tuple[KeyRow, ...]:
        """Every key that was ever created, oldest first."""
        if not self._db.exists():
            return ()
        with self._db.read() as db:
            return _rows(db, self._clock())

    def revoke(self, key_id_or_name: str) -> tuple[KeyRow, ...]:
        """Ends a key for good; by name, also expired ones of that name.

        Returns:
            What was revoked.

        Raises:
            ConfigError: Nothing by that id or name is left to revoke.
        """
        if self._db.exists():
            now = self._clock()
            with self._db.write() as db:
                found = {
                    row.info.key_id
                    for row in _rows(db, now)
                    if row.state != "revoked" and key_id_or_name in (row.info.key_id, row.info.name)
                }
                if found:
                    db.executemany(
                        "UPDATE keys SET revoked = ? WHERE key_id = ?", [(now, k) for k in found]
                    )
                    _bump(db)
                    return tuple(row for row in _rows(db, now) if row.info.key_id in found)
        raise ConfigError("There is no such key to revoke. See: zoran keys list", param="key")

    def snapshot(self) -> KeySnapshot:
        """The keys that are valid now. `version` grows with every write, and is 0 before the first."""
        if not self._db.exists():
            return KeySnapshot()
        with self._db.read() as db:
            (version,) = db.execute("SELECT version FROM version").fetchone()
            live = (row.info for row in _rows(db, self._clock()) if row.state == "live")
            return KeySnapshot(version=version, keys=tuple(live))


def _insert(db: sqlite3.Connection, info: KeyInfo, created: float) -> None:
    row = (
        info.key_id,
        info.name,
        info.digest,
        " ".join(info.models),
        info.requests_per_min,
        info.tokens_per_min,
        info.expires,
        info.tenant,
        info.usd_per_day,
        info.usd_per_request,
        created,
    )
    db.execute(INSERT, row)


def _bump(db: sqlite3.Connection) -> None:
    db.execute("UPDATE version SET version = version + 1")


def _rows(db: sqlite3.Connection, now: float) -> tuple[KeyRow, ...]:
    return tuple(_row(raw, now) for raw in db.execute(SELECT))


def _row(raw: sqlite3.Row, now: float) -> KeyRow:
    key_id, name, digest, models, requests, tokens, expires, tenant, per_day, per_request, *times = raw
    created, revoked = times
    info = KeyInfo(
        key_id=key_id,
        name=name,
        digest=digest,
        models=tuple(models.split()),
        requests_per_min=requests,
        tokens_per_min=tokens,
        expires=expires,
        tenant=tenant,
        usd_per_day=per_day,
        usd_per_request=per_request,
    )
    state: KeyState = "live"
    if revoked is not None:
        state = "revoked"
    elif now >= (math.inf if expires is None else expires):
        state = "expired"
    return KeyRow(info=info, state=state, created=created, revoked=revoked)
