"""The one authority on keys, rate limits and money: reads the key store, grants leases, keeps budgets."""

import asyncio
import contextlib
import logging
import math
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from zoran_ray.access import (
    EVERYBODY,
    SPEND_FILE,
    UNLIMITED,
    Budget,
    KeyStore,
    Ledger,
    Reserve,
    Settle,
    SpendDesk,
    SpendLedger,
    Spent,
)
from zoran_ray.access.leases import Ask, Grant, Settlement
from zoran_ray.errors import ConfigError, Unavailable
from zoran_ray.messages import KeySnapshot

log = logging.getLogger("zoran.access")

_POLL_S = 0.25
_REREAD_S = 10.0
_COMPLAIN_S = 10.0


class AccessAuthority:
    """Keys from disk, published; limits, counted; money, on disk. `actors.cluster` gives it a mailbox.

    Args:
        keys_file: The key store; the CLI writes it, this process reads it. The ledger of budgets lies
            beside it as `spend.sqlite`.
        budget: What all callers together may spend.
        now: Unix time in seconds.
    """

    def __init__(
        self,
        keys_file: Path,
        budget: Budget = UNLIMITED,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._spend = SpendLedger(keys_file.with_name(SPEND_FILE), now, budget, keep_open=True)
        self._desk = SpendDesk(self._spend.book)
        self._complained_at = -math.inf
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

    async def reserve(self, wish: Reserve) -> None:
        """Sets money aside; on return it is on disk.

        Raises:
            BudgetExceeded: It would exceed the key's budget or that of the deployment.
            ConfigError, Unavailable: The ledger cannot be used.
        """
        with self._complaining():
            await self._desk.reserve(wish)

    async def settle(self, settles: tuple[Settle, ...]) -> None:
        """Books what requests did cost; on return it is on disk. Asking twice counts once.

        Raises:
            ConfigError, Unavailable: The ledger cannot be used; ask again.
        """
        with self._complaining():
            await self._desk.settled(settles)

    async def spent(self, owner: str = EVERYBODY) -> Spent:
        """Today's account of one key, or of all together. Raises: ConfigError, Unavailable."""
        return await asyncio.to_thread(self._spend.spent, owner)

    @contextlib.contextmanager
    def _complaining(self) -> Iterator[None]:
        """Callers are not told what is wrong with our files; the operator is, once in a while."""
        try:
            yield
        except (ConfigError, Unavailable) as failure:
            if time.monotonic() - self._complained_at >= _COMPLAIN_S:
                self._complained_at = time.monotonic()
                log.error("no budget can be kept, so paid requests are refused: %s", failure)
            raise

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
