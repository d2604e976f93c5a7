"""The router's memory on disk: the latest checkpoint, and every decision with what became of it.

What has been recorded here and not yet been part of a checkpoint is learned again after a crash, so that
nothing acknowledged is lost; all of it can be replayed offline. Bounded in rows and age. Holds no text of
prompts or comments. Synchronous, and each call waits for the disk. Knows transactions, not files: those
come in from outside.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol

from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.routing.reports import Answered, Scored

SCHEMA = """
CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id TEXT NOT NULL UNIQUE, arm TEXT NOT NULL, chosen TEXT NOT NULL, propensity REAL NOT NULL,
    snapshot_version INTEGER NOT NULL, x BLOB NOT NULL, task TEXT NOT NULL, input_tokens REAL NOT NULL,
    output_tokens REAL, latency_s REAL, usd REAL NOT NULL, failed INTEGER NOT NULL, score REAL,
    key_id TEXT NOT NULL, at REAL NOT NULL
) STRICT;
CREATE TABLE scores (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id TEXT NOT NULL, implicit INTEGER NOT NULL, score REAL NOT NULL, at REAL NOT NULL,
    comment_chars INTEGER NOT NULL, UNIQUE (request_id, implicit)
) STRICT;
CREATE TABLE checkpoint (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    answered INTEGER NOT NULL, scored INTEGER NOT NULL, at REAL NOT NULL, state BLOB NOT NULL
) STRICT
"""

MOST_ROWS = 100_000
KEPT_S = 30 * 86_400.0
LATE_S = 7 * 86_400.0
"""A score that comes later than this after its request is kept in the log and teaches nothing any more."""

_DECISIONS = """
SELECT e.score, i.score, d.* FROM decisions d
LEFT JOIN scores e ON e.request_id = d.request_id AND e.implicit = 0
LEFT JOIN scores i ON i.request_id = d.request_id AND i.implicit = 1
WHERE d.seq > ? ORDER BY d.seq LIMIT ?
"""
_SCORES = f"""
SELECT s.seq, s.score, s.at, s.implicit, d.* FROM scores s
JOIN decisions d ON d.request_id = s.request_id
WHERE s.seq > ? AND s.at - d.at <= {LATE_S:.0f} ORDER BY s.seq LIMIT ?
"""  # noqa: S608 - a constant
_CHECKPOINT = "SELECT answered, scored, state FROM checkpoint"
_FAILED = [field.name for field in fields(Answered)].index("failed")
_PRUNED = 1000
"""Most rows of one kind that are forgotten for their age with one checkpoint."""

Status = Literal["counted", "duplicate", "late", "unknown"]


class Database(Protocol):
    """Transactions on one file with the tables of `SCHEMA`."""

    def exists(self) -> bool: ...

    def close(self) -> None: ...

    def read(self) -> AbstractContextManager[sqlite3.Connection]: ...

    def write(self) -> AbstractContextManager[sqlite3.Connection]: ...


@dataclass(frozen=True, slots=True)
class Mark:
    """How far something has got: the last decision and the last score, by number. 0 is before the first."""

    answered: int = 0
    scored: int = 0


@dataclass(frozen=True, slots=True)
class Logged:
    """One decision as it is kept.

    Attributes:
        seq: Its number.
        answered: What became of it.
        explicit: The score that somebody gave, if anybody did.
        implicit: The score of a sign that came late.
    """

    seq: int
    answered: Answered
    explicit: float | None = None
    implicit: float | None = None


@dataclass(frozen=True, slots=True)
class LateScore:
    """One score as it is kept, and the decision it is about."""

    seq: int
    answered: Answered
    score: float
    at: float
    implicit: bool


class RoutingJournal:
    """Every method raises `ConfigError` where the file is damaged and `Unavailable` where it is busy.

    Args:
        database: The file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def check(self) -> None:
        """Makes the file if there is none. Raises: ConfigError: It is damaged, or another program's."""
        with self._database.write() as db:
            (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise ConfigError(f"The router's journal is damaged: {found}")
            for question in (_DECISIONS, _SCORES, _CHECKPOINT):
                db.execute(question, (0, 0)[: question.count("?")]).fetchone()

    def close(self) -> None:
        """Lets go of the file; the next use opens it again."""
        self._database.close()

    def record(self, batch: Sequence[Answered]) -> list[Logged]:
        """Write what became of decisions; on return it is on disk.

        Returns:
            Those that had not been recorded yet, in their order.
        """
        fresh = []
        with self._database.write() as db:
            for answered in batch:
                done = db.execute(
                    "INSERT OR IGNORE INTO decisions VALUES"
                    " (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    _row(answered),
                )
                if done.rowcount and done.lastrowid is not None:
                    fresh.append(Logged(done.lastrowid, answered))
        return fresh

    def score(self, batch: Sequence[Scored]) -> list[Status]:
        """Write scores; on return they are on disk.

        Returns:
            For each "counted"; "duplicate"; "late"; or "unknown", where its key has made no such request,
            or not lately. Only the first is to be learned.
        """
        with self._database.write() as db:
            return [_score(db, scored) for scored in batch]

    def keep(self, mark: Mark, state: bytes, at: float) -> None:
        """Replace the checkpoint, and forget decisions that are too old or too many."""
        with self._database.write() as db:
            db.execute(
                "INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?, ?, ?)",
                (mark.answered, mark.scored, at, state),
            )
            db.execute(
                "DELETE FROM decisions WHERE seq <= (SELECT max(seq) FROM decisions) - ?", (MOST_ROWS,)
            )
            # A few at a time, from the oldest on: rows lie about in the order of their time.
            db.execute(
                "DELETE FROM decisions WHERE seq IN (SELECT seq FROM decisions ORDER BY seq LIMIT ?)"
                " AND at < ?",
                (_PRUNED, at - KEPT_S),
            )
            db.execute(
                "DELETE FROM scores WHERE seq IN (SELECT seq FROM scores ORDER BY seq LIMIT ?)"
                " AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.request_id = scores.request_id)",
                (_PRUNED,),
            )

    def latest(self) -> tuple[Mark, bytes] | None:
        """The checkpoint, None where there is none yet."""
        if not self._database.exists():
            return None
        with self._database.read() as db:
            row = db.execute(_CHECKPOINT).fetchone()
        return None if row is None else (Mark(row[0], row[1]), row[2])

    def decisions(self, after: int = 0, most: int = 1000) -> list[Logged]:
        """Decisions after number `after` with their scores, in their order: for replay."""
        if not self._database.exists():
            return []
        with self._database.read() as db:
            rows = db.execute(_DECISIONS, (after, most)).fetchall()
        return [Logged(seq, _answered(rest), explicit, implicit) for explicit, implicit, seq, *rest in rows]

    def late_scores(self, after: int = 0, most: int = 1000) -> list[LateScore]:
        """Scores after number `after` that count, in their order."""
        if not self._database.exists():
            return []
        with self._database.read() as db:
            rows = db.execute(_SCORES, (after, most)).fetchall()
        return [
            LateScore(seq, _answered(rest), score, at, bool(implicit))
            for seq, score, at, implicit, _, *rest in rows
        ]

    def newest(self) -> Mark:
        """How far the log goes."""
        if not self._database.exists():
            return Mark()
        with self._database.read() as db:
            (answered,) = db.execute("SELECT coalesce(max(seq), 0) FROM decisions").fetchone()
            (scored,) = db.execute("SELECT coalesce(max(seq), 0) FROM scores").fetchone()
        return Mark(answered, scored)

    def replay(self) -> Iterator[Logged]:
        """Every decision there is, oldest first."""
        after = 0
        while page := self.decisions(after):
            yield from page
            after = page[-1].seq


def _row(a: Answered) -> tuple[object, ...]:
    """The columns of `decisions` but the first, in their order."""
    return (
        a.request_id, a.arm, a.chosen, float(a.propensity), a.snapshot_version, a.blob, a.task,
        float(a.input_tokens), _real(a.output_tokens), _real(a.latency_s), float(a.usd), int(a.failed),
        _real(a.score), a.key_id, float(a.at),
    )  # fmt: skip


def _real(value: float | None) -> float | None:
    return None if value is None else float(value)


def _answered(row: Sequence[Any]) -> Answered:
    values = list(row)
    values[_FAILED] = bool(values[_FAILED])
    try:
        return Answered(*values)
    except InvalidRequest as error:
        raise ConfigError(f"The router's log of decisions is damaged: {error.message}") from error


def _score(db: sqlite3.Connection, scored: Scored) -> Status:
    found = db.execute(
        "SELECT at FROM decisions WHERE request_id = ? AND key_id = ?", (scored.request_id, scored.key_id)
    ).fetchone()
    if found is None:
        return "unknown"
    # A sign does not count beside what somebody has said.
    done = db.execute(
        "INSERT OR IGNORE INTO scores SELECT NULL, ?1, ?2, ?3, ?4, ?5"
        " WHERE NOT EXISTS (SELECT 1 FROM scores WHERE request_id = ?1 AND implicit < ?2)",
        (scored.request_id, scored.implicit, float(scored.score), scored.at, scored.comment_chars),
    )
    if not done.rowcount:
        return "duplicate"
    return "late" if scored.at - found[0] > LATE_S else "counted"
