"""All batches, durable: their states, and whose they are. Each change is one transaction.

validating → in_progress → finalizing → completed
    │             │            └──────→ expired      (decided before, as `ending`)
    └→ failed     └→ cancelling ──────→ cancelled
"""

import dataclasses
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from zoran_ray.access.private_db import PrivateDatabase
from zoran_ray.batch.job import FINISHED, Ending, Job, LineFault, Status
from zoran_ray.errors import InvalidRequest, Overloaded, RecordNotFound

MAX_UNFINISHED = 32
"""Batches of one owner that wait or run."""
MAX_KEPT = 1000
"""Batches of one owner; beyond, the oldest finished ones are forgotten. Their files stay."""
MAX_WINDOW_S = 7 * 86400

_UNITS = {"m": 60, "h": 3600, "d": 86400}
_FIELDS = tuple(field.name for field in dataclasses.fields(Job))
_SELECT = f"SELECT {', '.join(_FIELDS)} FROM batches"  # noqa: S608
_LEFT = f"status NOT IN ({', '.join(repr(status) for status in sorted(FINISHED))})"
_ENDED: Mapping[Ending, str] = {
    "completed": "completed_at",
    "expired": "expired_at",
    "cancelled": "cancelled_at",
}


def window_s(window: str) -> int:
    """Seconds of a completion window such as `24h`, `30m` or `2d`.

    Raises:
        InvalidRequest: It is none, or longer than seven days.
    """
    count, unit = window[:-1], window[-1:]
    if unit in _UNITS and count.isascii() and count.isdigit() and len(count) <= 5:
        seconds = int(count) * _UNITS[unit]
        if 0 < seconds <= MAX_WINDOW_S:
            return seconds
    raise InvalidRequest(
        '\'completion_window\' must be "24h", or another time of at most seven days such as "30m".',
        param="completion_window",
    )


class Jobs:
    """All batches of all owners.

    Args:
        db: Where they are.
        clock: Unix time in seconds.
    """

    def __init__(self, db: PrivateDatabase, clock: Callable[[], float]) -> None:
        self.db = db
        self._clock = clock

    def create(
        self,
        owner: str,
        key_id: str,
        *,
        endpoint: str,
        input_file_id: str,
        window: str,
        metadata: Mapping[str, str] | None = None,
    ) -> Job:
        """A new batch, to be validated.

        Raises:
            InvalidRequest: The window is none.
            Overloaded: The owner has too many that are not finished.
        """
        now = self._now()
        job = Job(
            id=f"batch_{secrets.token_hex(12)}",
            owner=owner,
            key_id=key_id,
            endpoint=endpoint,
            input_file_id=input_file_id,
            window=window,
            created=now,
            expires=now + window_s(window),
            metadata=dict(metadata or {}),
        )
        with self.db.write() as db:
            query = f"SELECT count(*) FROM batches WHERE owner = ? AND {_LEFT}"  # noqa: S608
            if db.execute(query, (owner,)).fetchone()[0] >= MAX_UNFINISHED:
                raise Overloaded(
                    f"{MAX_UNFINISHED} batches are not finished yet. Wait for one, or cancel one.",
                    retry_after_s=60.0,
                )
            marks = ", ".join("?" * len(_FIELDS))
            db.execute(
                f"INSERT INTO batches ({', '.join(_FIELDS)}) VALUES ({marks})",  # noqa: S608
                [_stored(name, getattr(job, name)) for name in _FIELDS],
            )
            keep = (
                f"DELETE FROM batches WHERE owner = ? AND NOT {_LEFT} AND rowid NOT IN"  # noqa: S608
                " (SELECT rowid FROM batches WHERE owner = ? ORDER BY rowid DESC LIMIT ?)"
            )
            db.execute(keep, (owner, owner, MAX_KEPT))
        return job

    def get(self, owner: str, batch_id: str) -> Job:
        """Raises: RecordNotFound: This owner has no such batch."""
        found = self._one("id = ? AND owner = ?", batch_id, owner)
        if found is None:
            raise RecordNotFound("There is no such batch. List yours: GET /v1/batches.", param="batch_id")
        return found

    def now(self, batch_id: str) -> Job:
        """A batch as it is now, whoever owns it. Raises: RecordNotFound."""
        found = self._one("id = ?", batch_id)
        if found is None:
            raise RecordNotFound("There is no such batch.", param="batch_id")
        return found

    def list(self, owner: str, *, after: str | None, limit: int) -> tuple[tuple[Job, ...], bool]:
        """An owner's batches, the newest first, and whether there are more of them.

        Raises:
            RecordNotFound: There is no batch `after`.
        """
        if after is not None:
            self.get(owner, after)
        if not self.db.exists():
            return (), False
        query = (
            f"{_SELECT} WHERE owner = ? AND (? IS NULL OR rowid <"  # noqa: S608
            " (SELECT rowid FROM batches WHERE id = ?)) ORDER BY rowid DESC LIMIT ?"
        )
        with self.db.read() as db:
            rows = db.execute(query, (owner, after, after, limit + 1)).fetchall()
        return tuple(_job(row) for row in rows[:limit]), len(rows) > limit

    def unfinished(self) -> tuple[Job, ...]:
        """Those that wait or run, the oldest first."""
        if not self.db.exists():
            return ()
        with self.db.read() as db:
            rows = db.execute(f"{_SELECT} WHERE {_LEFT} ORDER BY rowid").fetchall()
        return tuple(_job(row) for row in rows)

    def counts(self) -> Mapping[Status, tuple[int, int, int, int]]:
        """Of each status with any: batches, and of their lines all, completed and failed ones."""
        if not self.db.exists():
            return {}
        query = (
            "SELECT status, count(*), sum(total), sum(completed), sum(failed) FROM batches GROUP BY status"
        )
        with self.db.read() as db:
            return {status: tuple(counted) for status, *counted in db.execute(query)}

    def cancel(self, owner: str, batch_id: str) -> Job:
        """Begins to cancel; one that is being finished is left to it.

        Raises:
            RecordNotFound: There is no such batch.
            InvalidRequest: It is finished already.
        """
        job = self.get(owner, batch_id)
        if job.finished:
            raise InvalidRequest(f"This batch is {job.status} already.", param="batch_id")
        self._move(batch_id, ("validating", "in_progress"), status="cancelling", cancelling=self._now())
        return self.now(batch_id)

    def started(self, batch_id: str) -> None:
        """All lines are known."""
        self._move(batch_id, ("validating",), status="in_progress", in_progress=self._now())

    def failed(self, batch_id: str, fault: LineFault) -> None:
        """Nothing of it can be asked."""
        with self.db.write() as db:
            db.execute(
                f"UPDATE batches SET status = 'failed', failed_at = ?,"  # noqa: S608
                f" faults = CASE faults WHEN '[]' THEN ? ELSE faults END WHERE id = ? AND {_LEFT}",
                (self._now(), _stored("faults", (fault,)), batch_id),
            )
            for table in ("lines", "entries"):
                db.execute(f"DELETE FROM {table} WHERE batch = ?", (batch_id,))  # noqa: S608

    def ending(self, batch_id: str, ending: Ending, output_file_id: str, error_file_id: str) -> Job:
        """Nothing more is asked: its files are written now, under these ids, which stay the same should the
        process end meanwhile. One that was cancelled before ends so, whatever else happened.
        """
        with self.db.write() as db:
            db.execute(
                "UPDATE batches SET output_file_id = ?, error_file_id = ?,"  # noqa: S608
                " ending = CASE status WHEN 'cancelling' THEN 'cancelled' ELSE ? END,"
                " finalizing = CASE status WHEN 'cancelling' THEN 0 ELSE ? END,"
                " status = CASE status WHEN 'cancelling' THEN status ELSE 'finalizing' END"
                f" WHERE id = ? AND ending IS NULL AND {_LEFT}",
                (output_file_id, error_file_id, ending, self._now(), batch_id),
            )
        return self.now(batch_id)

    def finish(self, job: Job, *, output: bool, errors: bool) -> None:
        """Its files are on the disk; which of the two there are is said here."""
        assert job.ending is not None
        with self.db.write() as db:
            db.execute(
                f"UPDATE batches SET status = ?, {_ENDED[job.ending]} = ?, output_file_id = ?,"  # noqa: S608
                f" error_file_id = ? WHERE id = ? AND {_LEFT}",
                (
                    *(job.ending, self._now()),
                    *(job.output_file_id if output else "", job.error_file_id if errors else "", job.id),
                ),
            )
            for table in ("lines", "entries"):
                db.execute(f"DELETE FROM {table} WHERE batch = ?", (job.id,))  # noqa: S608

    def _move(self, batch_id: str, states: tuple[Status, ...], **fields: Any) -> None:
        """Changes a batch that is in one of these states; another one is left as it is."""
        sets = ", ".join(f"{name} = ?" for name in fields)
        marks = ", ".join("?" * len(states))
        with self.db.write() as db:
            query = f"UPDATE batches SET {sets} WHERE id = ? AND status IN ({marks})"  # noqa: S608
            db.execute(query, (*fields.values(), batch_id, *states))

    def _one(self, where: str, *values: str) -> Job | None:
        if not self.db.exists():
            return None
        with self.db.read() as db:
            row = db.execute(f"{_SELECT} WHERE {where}", values).fetchone()
        return None if row is None else _job(row)

    def _now(self) -> int:
        return int(self._clock())


def _stored(name: str, value: Any) -> Any:
    if name == "metadata":
        return orjson.dumps(value).decode()
    if name == "faults":
        return orjson.dumps([[fault.code, fault.line, fault.message] for fault in value]).decode()
    return value


def _job(row: Any) -> Job:
    fields = dict(zip(_FIELDS, row, strict=True))
    fields["metadata"] = orjson.loads(fields["metadata"])
    fields["faults"] = tuple(LineFault(*fault) for fault in orjson.loads(fields["faults"]))
    return Job(**fields)
