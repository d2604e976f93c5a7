"""The one authority on money: what was spent and what may yet be, on disk.

An entry that was acknowledged survives `kill -9` and a power cut. Synchronous, and each call waits for the
disk: `access.spend_desk` writes many at once. Several processes may use one file.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from zoran_ray.access.budgets import (
    DAY_S,
    EVERYBODY,
    MOST_ACCOUNT,
    MOST_LEASE_S,
    UNLIMITED,
    Budget,
    Entry,
    Reserve,
    Settle,
    Spent,
    refusal,
)
from zoran_ray.access.private_db import PrivateDatabase
from zoran_ray.errors import BudgetExceeded

SPEND_FILE = "spend.sqlite"
"""Name of the ledger in the state directory."""
_NEVER = 0
"""The day of a reservation that was settled before it came."""
KEPT_DAYS = 100
"""Days whose accounts are kept, today included."""

# `reserved` repeats the sum over reservations, so that a wish costs the same however many there are.
SCHEMA = """
CREATE TABLE accounts (
    owner TEXT NOT NULL, day INTEGER NOT NULL, settled INTEGER NOT NULL, reserved INTEGER NOT NULL,
    PRIMARY KEY (owner, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE reservations (
    reservation_id TEXT PRIMARY KEY, key_id TEXT NOT NULL, day INTEGER NOT NULL, most INTEGER NOT NULL,
    lease_ends REAL NOT NULL, live INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX by_lease ON reservations (live, lease_ends)
"""
BOOK = f"""
INSERT INTO accounts (owner, day, settled, reserved) VALUES (?, ?, ?, ?)
ON CONFLICT (owner, day) DO UPDATE
SET settled = min(settled + excluded.settled, {MOST_ACCOUNT}), reserved = reserved + excluded.reserved
"""  # noqa: S608 (a number of ours)
TODAY = """
SELECT owner, settled, reserved - coalesce(
    (SELECT sum(most) FROM reservations
     WHERE live = 1 AND lease_ends <= :now AND day = :day AND (key_id = owner OR owner = :everybody)), 0)
FROM accounts WHERE day = :day
"""
ANEW = "go on: what was spent today then counts from nothing"
RESERVE = """
INSERT INTO reservations (reservation_id, key_id, day, most, lease_ends, live) VALUES (?, ?, ?, ?, ?, 1)
"""


class SpendLedger:
    """All accounts and reservations, in one private SQLite file.

    Every method raises `ConfigError` when the file is damaged or open to other users, and `Unavailable`
    when another process keeps it busy; nothing is booked then.

    Args:
        path: The file; made by the first entry.
        clock: Unix time in seconds.
        deployment: What all keys together may spend.
        keep_open: Keep the file open: for whoever books all day.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float],
        deployment: Budget = UNLIMITED,
        *,
        keep_open: bool = False,
    ) -> None:
        self._db = PrivateDatabase(path, SCHEMA, "The ledger of budgets", ANEW, keep_open=keep_open)
        self._clock = clock
        self._deployment = deployment
        self._swept = -1

    def book(self, entries: Sequence[Entry]) -> tuple[BudgetExceeded | None, ...]:
        """Writes entries in their order, in one transaction; on return all of it is on disk.

        Returns:
            For each entry why it was refused, None where it was written.
        """
        now = self._clock()
        with self._db.write() as db:
            _end_leases(db, now)
            if self._swept != (today := _day(now)):
                _forget_days(db, now)
                self._swept = today
            return tuple(self._book(db, entry, now) for entry in entries)

    def reserve(self, wish: Reserve) -> None:
        """Books one wish.

        Raises:
            BudgetExceeded: Says which budget is used up, what is left of it and when it renews.
        """
        (refused,) = self.book((wish,))
        if refused is not None:
            raise refused

    def settle(self, reservation_id: str, actual: int) -> None:
        """Books what a request did cost, in nano-USD. Raises: InvalidRequest for a senseless amount."""
        self.book((Settle(reservation_id, actual),))

    def spent(self, owner: str = EVERYBODY) -> Spent:
        """An owner's account of today; leases that have run out do not count."""
        return self.spent_today().get(owner, Spent())

    def spent_today(self) -> dict[str, Spent]:
        """Every account of today by its owner, `EVERYBODY` among them; ended leases do not count."""
        if not self._db.exists():
            return {}
        now = self._clock()
        asked = {"now": now, "day": _day(now), "everybody": EVERYBODY}
        with self._db.read() as db:
            return {
                owner: Spent(settled, reserved) for owner, settled, reserved in db.execute(TODAY, asked)
            }

    def exists(self) -> bool:
        """Whether anything was ever booked."""
        return self._db.exists()

    def close(self) -> None:
        """Lets go of the file; the next use opens it again."""
        self._db.close()

    def _book(self, db: sqlite3.Connection, entry: Entry, now: float) -> BudgetExceeded | None:
        if isinstance(entry, Reserve):
            return self._reserve(db, entry, now)
        _settle(db, entry, now)
        return None

    def _reserve(self, db: sqlite3.Connection, wish: Reserve, now: float) -> BudgetExceeded | None:
        if _reservation(db, wish.reservation_id) is not None:
            return None  # the first answer was lost on its way
        day = _day(now)
        for owner in _owners(wish.key_id):
            budget = self._deployment if owner == EVERYBODY else wish.budget
            if refused := refusal(wish, owner, budget, _account(db, owner, day), day):
                return refused
        lease_ends = now + wish.lease_s
        db.execute(RESERVE, (wish.reservation_id, wish.key_id, day, wish.most, lease_ends))
        _add(db, wish.key_id, day, settled=0, reserved=wish.most)
        return None


def _settle(db: sqlite3.Connection, entry: Settle, now: float) -> None:
    found = _reservation(db, entry.reservation_id)
    if found is None:
        # Its reservation may have been overtaken on the way, and must find that it is over.
        db.execute(
            "INSERT INTO reservations VALUES (?, '', ?, 0, ?, 0)", (entry.reservation_id, _NEVER, now)
        )
        return
    key_id, day, most, live = found
    if day == _NEVER:
        return
    db.execute("DELETE FROM reservations WHERE reservation_id = ?", (entry.reservation_id,))
    _add(db, key_id, day, settled=entry.actual, reserved=-most if live else 0)


def _end_leases(db: sqlite3.Connection, now: float) -> None:
    """Frees what dead callers had reserved. Their rows stay a while: one may only have been slow."""
    over = db.execute(
        "SELECT reservation_id, key_id, day, most FROM reservations WHERE live = 1 AND lease_ends <= ?",
        (now,),
    ).fetchall()
    for reservation_id, key_id, day, most in over:
        db.execute("UPDATE reservations SET live = 0 WHERE reservation_id = ?", (reservation_id,))
        _add(db, key_id, day, settled=0, reserved=-most)
    db.execute("DELETE FROM reservations WHERE live = 0 AND lease_ends <= ?", (now - MOST_LEASE_S,))


def _forget_days(db: sqlite3.Connection, now: float) -> None:
    """Drops old accounts; it reads all of them, so once a day is enough."""
    db.execute("DELETE FROM accounts WHERE day <= ?", (_day(now) - KEPT_DAYS,))


def _add(db: sqlite3.Connection, key_id: str, day: int, *, settled: int, reserved: int) -> None:
    db.executemany(BOOK, [(owner, day, settled, reserved) for owner in _owners(key_id)])


def _owners(key_id: str) -> Iterable[str]:
    return dict.fromkeys((key_id, EVERYBODY))


def _account(db: sqlite3.Connection, owner: str, day: int) -> Spent:
    row = db.execute("SELECT settled, reserved FROM accounts WHERE owner = ? AND day = ?", (owner, day))
    return Spent(*(row.fetchone() or (0, 0)))


def _reservation(db: sqlite3.Connection, reservation_id: str) -> tuple[str, int, int, int] | None:
    found: tuple[str, int, int, int] | None = db.execute(
        "SELECT key_id, day, most, live FROM reservations WHERE reservation_id = ?", (reservation_id,)
    ).fetchone()
    return found


def _day(now: float) -> int:
    return int(now // DAY_S)
