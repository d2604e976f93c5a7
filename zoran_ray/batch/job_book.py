"""The lines of one batch in the database: pending, running or done, and what became of them.

An answer and the state of its line change in one transaction: a line is done exactly when its answer is on
the disk, and once.
"""

from collections.abc import Iterable, Iterator, Sequence

import orjson

from zoran_ray.access.private_db import PrivateDatabase
from zoran_ray.batch.job import MOST_ERRORS
from zoran_ray.batch.lines import BadLine, Line
from zoran_ray.batch.outcome import Answered, Failed, entry, is_good
from zoran_ray.batch.runner import Done

GROUP = 1000
"""Rows of one transaction or question, where there may be many."""
_TAKE = """
SELECT number, at, size, custom_id, model FROM lines
WHERE batch = ? AND state = ? ORDER BY number LIMIT ?
"""
_COUNT = """
UPDATE batches SET completed = completed + ?, failed = failed + ?, prompt_tokens = prompt_tokens + ?,
    cached_tokens = cached_tokens + ?, completion_tokens = completion_tokens + ?, nano_usd = nano_usd + ?
WHERE id = ?
"""
_ENTER = "INSERT INTO entries (batch, good, data) VALUES (?, ?, ?)"


class JobBook:
    """A `Book`.

    Args:
        db: The database of batches.
        batch_id: Which one.
    """

    def __init__(self, db: PrivateDatabase, batch_id: str) -> None:
        self._db = db
        self._id = batch_id

    def clear(self) -> None:
        """Forgets all lines: they are read anew."""
        with self._db.write() as db:
            for table in ("lines", "entries"):
                db.execute(f"DELETE FROM {table} WHERE batch = ?", (self._id,))  # noqa: S608
            db.execute(
                "UPDATE batches SET total = 0, completed = 0, failed = 0, faults = '[]' WHERE id = ?",
                (self._id,),
            )

    def add(self, lines: Sequence[Line | BadLine]) -> None:
        """Takes lines in, in order; faulty ones are done at once."""
        good = [line for line in lines if isinstance(line, Line)]
        bad = [line for line in lines if isinstance(line, BadLine)]
        rows = [(self._id, n.number, n.at, n.size, n.custom_id, n.model, "pending") for n in good]
        with self._db.write() as db:
            db.executemany("INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            db.executemany(_ENTER, [(self._id, 0, self._bad_entry(line)) for line in bad])
            query = "SELECT faults, model FROM batches WHERE id = ?"
            told, model = db.execute(query, (self._id,)).fetchone()
            faults = orjson.loads(told) + [[line.code, line.number, line.message] for line in bad]
            db.execute(
                "UPDATE batches SET total = total + ?, failed = failed + ?, faults = ?, model = ?"
                " WHERE id = ?",
                (
                    *(len(lines), len(bad), orjson.dumps(faults[:MOST_ERRORS]).decode()),
                    *(model or (good[0].model if good else ""), self._id),
                ),
            )

    def take_up(self) -> None:
        """What was asked when a process ended is to be asked again."""
        with self._db.write() as db:
            query = "UPDATE lines SET state = 'pending' WHERE batch = ? AND state = 'running'"
            db.execute(query, (self._id,))

    def settle(self, done: Sequence[Done], want: int) -> Sequence[Line]:
        """As in `Book`."""
        with self._db.write() as db:
            for each in done:
                query = "UPDATE lines SET state = 'done' WHERE batch = ? AND number = ? AND state <> 'done'"
                if db.execute(query, (self._id, each.line.number)).rowcount:
                    data = entry(self._line_id(each.line.number), each.line.custom_id, each.outcome)
                    db.execute(_ENTER, (self._id, is_good(each.outcome), data))
                    db.execute(_COUNT, (*_counts(each), self._id))
            rows = db.execute(_TAKE, (self._id, "pending", want)).fetchall() if want else []
            db.executemany(
                "UPDATE lines SET state = 'running' WHERE batch = ? AND number = ?",
                [(self._id, number) for number, *_ in rows],
            )
        return [Line(*row) for row in rows]

    def give_up(self, failed: Failed) -> bool:
        """Makes a group of those that are not done fail. Returns: Whether there were any."""
        with self._db.read() as db:
            questions = [(self._id, state, GROUP) for state in ("running", "pending")]
            rows = [row for asked in questions for row in db.execute(_TAKE, asked)]
        self.settle([Done(Line(*row), failed) for row in rows], 0)
        return bool(rows)

    def entries(self, *, good: bool) -> Iterator[bytes]:
        """Lines of the output file, or of that of errors, in the order in which they came."""
        place = 0
        while True:
            query = "SELECT place, data FROM entries WHERE batch = ? AND good = ? AND place > ?"
            with self._db.read() as db:
                rows = db.execute(f"{query} ORDER BY place LIMIT 64", (self._id, good, place)).fetchall()
            if not rows:
                return
            yield from (data for _, data in rows)
            place = rows[-1][0]

    def _bad_entry(self, line: BadLine) -> bytes:
        return entry(self._line_id(line.number), line.custom_id, Failed(line.code, line.message))

    def _line_id(self, number: int) -> str:
        return f"batch_req_{self._id.removeprefix('batch_')}_{number}"


def groups(lines: Iterable[Line | BadLine]) -> Iterator[list[Line | BadLine]]:
    """The same, in lists that fit into one transaction."""
    group: list[Line | BadLine] = []
    for line in lines:
        group.append(line)
        if len(group) == GROUP:
            yield group
            group = []
    if group:
        yield group


def _counts(done: Done) -> tuple[int, int, int, int, int, int]:
    outcome, good = done.outcome, is_good(done.outcome)
    if not isinstance(outcome, Answered):
        return 0, 1, 0, 0, 0, 0
    used = outcome.usage
    return (
        *(int(good), int(not good)),
        *(used.prompt_tokens, used.cached_tokens, used.completion_tokens, outcome.nano_usd),
    )
