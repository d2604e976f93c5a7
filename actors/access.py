"""The one authority on keys and rate limits: reads the key store, grants leases to gateways."""

import asyncio
import contextlib
import logging
import secrets
import time
from pathlib import Path

from zoran_ray.access import KeyStore, Ledger
from zoran_ray.access.leases import Ask, Grant, Settlement
from zoran_ray.messages import KeySnapshot

log = logging.getLogger("zoran.access")

_POLL_S = 0.25
_REREAD_S = 10.0


class AccessAuthority:
    """Keys from disk, published; limits, counted. `actors.start` gives it a mailbox.

    Args:
        keys_file: The key store; the CLI writes it, this process reads it.
    """

    def __init__(self, keys_file: Path) -> None:
        self._file = keys_file
        self._store = KeyStore(keys_file, time.time)
        self._stamp: tuple[object, ...] = ()
        self._ledger = Ledger(time.monotonic, secrets.token_hex(4))
        self._snapshot = self._store.snapshot()
        self._read_at = 0.0

    async def keys(self) -> KeySnapshot:
        """The valid keys now."""
        self._reload()
        return self._snapshot

    async def watch_keys(self, version: int, timeout_s: float) -> KeySnapshot | None:
        """The valid keys once they differ from `version`, or None after `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._reload() == version:
                    await asyncio.sleep(_POLL_S)
        return self._snapshot if self._snapshot.version != version else None

    async def lease(self, asks: tuple[Ask, ...], settlements: tuple[Settlement, ...]) -> tuple[Grant, ...]:
        """Parts of limits for one gateway. Raises: Overloaded, see `Ledger.lease`."""
        return self._ledger.lease(asks, settlements)

    def _reload(self) -> int:
        """Read the keys again if their file has changed, or once in a while because keys expire."""
        stamp = tuple(_stamp(Path(f"{self._file}{suffix}")) for suffix in ("", "-wal"))
        if stamp == self._stamp and time.monotonic() - self._read_at < _REREAD_S:
            return self._snapshot.version
        self._stamp, self._read_at = stamp, time.monotonic()
        try:
            self._snapshot = self._store.snapshot()
        except Exception as failure:
            # Keys already known stay valid: a damaged file must not open or close the door.
            log.error("keys cannot be read, the last ones stay in force: %s", failure)
        return self._snapshot.version


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes with every write to a file; None if it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
