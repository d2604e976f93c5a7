"""All tasks, durable: where each stands, what happened to it, who works on it. A change is one transaction.

One worker at a time holds a task, by a lease that ends by itself. Each lease has a number, the fencing
token: a worker that was slow, paused or cut off writes nothing once another one has begun.
Every move is written together with its event, and events wait here until the journal has them.
Source: M. Kleppmann, "How to do distributed locking", 2016 (fencing tokens).
"""

import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from zoran_ray.access.private_db import PrivateDatabase
from zoran_ray.autopilot.lapses import LAPSED, MOST_LAPSES, forgive, note_lapses
from zoran_ray.autopilot.rows import (
    FIELDS,
    SELECT,
    TRANSITION,
    TaskEvent,
    any_task,
    named_once,
    put,
    read_event,
    read_task,
    stored,
    take_oldest,
    tell,
    the_task,
    write_event,
)  # fmt: skip
from zoran_ray.autopilot.task import ENDED, GOALS, RESUMABLE, Mode, State, Task, may_follow
from zoran_ray.errors import InvalidRequest, LeaseLost, Overloaded, RecordNotFound

MOST_UNFINISHED = 32
"""Tasks of one owner that wait or run."""
MOST_LISTED = 100
ATTEMPT = "attempt"
"""The kind of a note that tells of a try of an edit."""

Heard = Callable[[Task, str, Mapping[str, Any]], None]
"""Hears of an event once it is written: the task as it is then, the event's kind, what a note says."""

_RESTING = ", ".join(f"'{state}'" for state in sorted(ENDED | {State.AWAITING_HUMAN}))
_WORK = f"state <> goal AND state NOT IN ({_RESTING})"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a task for a while.

    Attributes:
        task: As it was when the lease began.
        until: Unix time in seconds.
    """

    task: Task
    until: float

    @property
    def fence(self) -> int:
        """The fencing token."""
        return self.task.fence


class Tasks:
    """All tasks of all owners.

    Args:
        db: Where they are.
        clock: Unix time in seconds.
        heard: Hears of events, in the process that writes them; must be quick.
        most_lapses: Workers that may end without a word on one task before it moves.
    """

    def __init__(
        self,
        db: PrivateDatabase,
        clock: Callable[[], float],
        heard: Heard | None = None,
        most_lapses: int = MOST_LAPSES,
    ) -> None:
        self.db = db
        self._clock = clock
        self._heard = heard or _nobody
        self._most_lapses = most_lapses

    def create(
        self,
        owner: str,
        mode: Mode,
        request: Mapping[str, Any],
        *,
        thread: str | None = None,
        goal: State | None = None,
    ) -> Task:
        """A new task; the one that there is, if an earlier request of this owner has the same `once`.

        Args:
            thread: A conversation of this owner; None begins one.
            goal: Where it ends well; None for the mode's own.

        Raises:
            RecordNotFound: This owner has no such thread.
            Overloaded: Too many of the owner's tasks are not finished.
        """
        now = self._clock()
        with self.db.write() as db:
            if thread is not None and not any_task(db, "owner = ? AND thread = ?", owner, thread):
                raise RecordNotFound("There is no such thread.", param="thread_id")
            if (once := request.get("once")) and (found := named_once(db, owner, once)):
                return found
            unfinished = f"SELECT count(*) FROM tasks WHERE owner = ? AND {_WORK}"  # noqa: S608
            if db.execute(unfinished, (owner,)).fetchone()[0] >= MOST_UNFINISHED:
                raise Overloaded(
                    f"{MOST_UNFINISHED} tasks are not finished yet. Wait for one, or cancel one.",
                    retry_after_s=60.0,
                )
            task = Task(
                f"task_{secrets.token_hex(12)}", owner, thread or f"thread_{secrets.token_hex(12)}", mode,
                goal or GOALS[mode], State.RECEIVED, None, request, {}, now, now, 0, False,
            )  # fmt: skip
            marks = ", ".join("?" * len(FIELDS))
            db.execute(
                f"INSERT INTO tasks ({', '.join(FIELDS)}) VALUES ({marks})",  # noqa: S608
                [stored(getattr(task, name)) for name in FIELDS],
            )
            tell(db, task.id, now, None, State.RECEIVED, {"mode": mode})
        return task

    def get(self, owner: str, task_id: str) -> Task:
        """Raises: RecordNotFound: This owner has no such task."""
        found = self._one("id = ? AND owner = ?", task_id, owner)
        if found is None:
            raise RecordNotFound("There is no such task. List yours: GET /v1/tasks.", param="task_id")
        return found

    def list(
        self, owner: str, *, thread: str | None = None, after: str | None = None, limit: int = 20
    ) -> tuple[tuple[Task, ...], bool]:
        """An owner's tasks, the newest first, and whether there are more of them.

        Raises:
            RecordNotFound: There is no task `after`.
        """
        if after is not None:
            self.get(owner, after)
        if not self.db.exists():
            return (), False
        query = (
            f"{SELECT} WHERE owner = ? AND (? IS NULL OR thread = ?) AND (? IS NULL OR rowid <"  # noqa: S608
            " (SELECT rowid FROM tasks WHERE id = ?)) ORDER BY rowid DESC LIMIT ?"
        )
        most = min(limit, MOST_LISTED)
        with self.db.read() as db:
            rows = db.execute(query, (owner, thread, thread, after, after, most + 1)).fetchall()
        return tuple(read_task(row) for row in rows[:most]), len(rows) > most

    def claim(self, lease_s: float) -> Lease | None:
        """The oldest task that waits for a worker, or whose worker has been silent for its whole lease.

        One whose workers ended so again and again, as one that uses up the memory does, is set aside.

        Args:
            lease_s: How long it is this worker's, in seconds, unless renewed.
        """
        if not self.db.exists():
            return None
        now = self._clock()
        with self.db.write() as db:
            left = note_lapses(db, _WORK, self._most_lapses, now)
            found = take_oldest(db, _WORK, now, now + lease_s)
        for task in left:
            self._heard(task, LAPSED, {})
            if task.finished:
                self._heard(task, TRANSITION, {})
        return None if found is None else Lease(found, now + lease_s)

    def renew(self, lease: Lease, lease_s: float) -> Lease:
        """The lease, prolonged; its task says whether it is to be cancelled. Raises: LeaseLost."""
        now = self._clock()
        with self.held(lease) as db:
            db.execute("UPDATE tasks SET leased_until = ? WHERE id = ?", (now + lease_s, lease.task.id))
            return Lease(the_task(db, lease.task.id), now + lease_s)

    def release(self, lease: Lease) -> None:
        """Lets another worker take the task at once. One that is lost already stays so."""
        with self.db.write() as db:
            db.execute(
                "UPDATE tasks SET leased_until = 0 WHERE id = ? AND fence = ?", (lease.task.id, lease.fence)
            )

    def learn(self, lease: Lease, facts: Mapping[str, Any]) -> Lease:
        """Something more is known of the task, and nobody is told. Raises: LeaseLost.

        Args:
            facts: Added to what was known.
        """
        with self.held(lease) as db:
            task = the_task(db, lease.task.id)
            put(db, task.id, task.state, task.before, {**task.facts, **facts}, self._clock())
            return Lease(the_task(db, task.id), lease.until)

    def move(
        self,
        lease: Lease,
        to: State,
        facts: Mapping[str, Any] | None = None,
        told: Mapping[str, Any] | None = None,
    ) -> Lease:
        """The task stands there now.

        Args:
            facts: What is known from now on; added to what was known.
            told: What of it whoever watches and the journal hear; None for all.

        Raises:
            LeaseLost: Another worker has it, or it ended.
            InvalidRequest: That state does not follow.
        """
        now = self._clock()
        with self.db.write() as db:
            task = self._held(db, lease)
            if task.finished or not may_follow(task.state, to):
                raise InvalidRequest(f"A task that is {task.state} does not become {to}.")
            known = {**task.facts, **(facts or {})}
            before = task.state if to in RESUMABLE else None
            put(db, task.id, to, before, known, now)
            tell(db, task.id, now, task.state, to, told if told is not None else facts or {})
            forgive(db, task.id)
            moved = the_task(db, task.id)
        self._heard(moved, TRANSITION, {})
        return Lease(moved, lease.until)

    def note(self, lease: Lease, kind: str, data: Mapping[str, Any]) -> None:
        """Something that whoever watches should see, and that changes no state. Raises: LeaseLost."""
        with self.held(lease) as db:
            write_event(db, lease.task.id, self._clock(), kind, data, told=True)
        self._heard(lease.task, kind, data)

    def resume(self, owner: str, task_id: str, facts: Mapping[str, Any] | None = None) -> Task:
        """A person sends a task back to where it stood before it was set aside.

        Raises:
            RecordNotFound: This owner has no such task.
            InvalidRequest: It was not set aside.
        """
        now = self._clock()
        with self.db.write() as db:
            task = the_task(db, self._own(db, owner, task_id))
            if task.state not in RESUMABLE or task.before is None:
                raise InvalidRequest(f"This task is {task.state}; there is nothing to resume.")
            known = {**task.facts, **(facts or {})}
            put(db, task.id, task.before, None, known, now)
            db.execute("UPDATE tasks SET cancelling = 0, leased_until = 0 WHERE id = ?", (task.id,))
            forgive(db, task.id)
            tell(db, task.id, now, task.state, task.before, facts or {})
            return the_task(db, task.id)

    def cancel(self, owner: str, task_id: str) -> Task:
        """Ends a task nobody works on; asks the worker of another to end it at its next step.

        Raises:
            RecordNotFound: This owner has no such task.
            InvalidRequest: It is finished.
        """
        now = self._clock()
        with self.db.write() as db:
            task = the_task(db, self._own(db, owner, task_id))
            if task.finished:
                raise InvalidRequest(f"This task is {task.state} already.")
            (until,) = db.execute("SELECT leased_until FROM tasks WHERE id = ?", (task.id,)).fetchone()
            idle = until <= now and may_follow(task.before or task.state, State.CANCELLED)
            if idle:
                db.execute("UPDATE tasks SET fence = fence + 1 WHERE id = ?", (task.id,))
                put(db, task.id, State.CANCELLED, None, task.facts, now)
                tell(db, task.id, now, task.state, State.CANCELLED, {})
            else:
                db.execute("UPDATE tasks SET cancelling = 1 WHERE id = ?", (task.id,))
            now_it_is = the_task(db, task.id)
        if idle:
            self._heard(now_it_is, TRANSITION, {})
        return now_it_is

    def standing(self) -> Mapping[tuple[State, Mode], int]:
        """How many tasks there are in each state and mode."""
        if not self.db.exists():
            return {}
        with self.db.read() as db:
            rows = db.execute("SELECT state, mode, count(*) FROM tasks GROUP BY state, mode").fetchall()
        return {(State(state), Mode(mode)): count for state, mode, count in rows}

    def events(self, task_id: str, after: int = 0, limit: int = 1000) -> tuple[TaskEvent, ...]:
        """What happened to a task, the oldest first."""
        query = "SELECT place, task, at, kind, data FROM events WHERE task = ? AND place > ?"
        return self._events(f"{query} ORDER BY place LIMIT ?", task_id, after, limit)

    def untold(self, limit: int = 256) -> tuple[TaskEvent, ...]:
        """Moves and decisions that the journal does not have yet, the oldest first."""
        query = "SELECT place, task, at, kind, data FROM events WHERE told = 0 ORDER BY place LIMIT ?"
        return self._events(query, limit)

    def told(self, place: int) -> None:
        """The journal has everything up to this place."""
        with self.db.write() as db:
            db.execute("UPDATE events SET told = 1 WHERE told = 0 AND place <= ?", (place,))

    def _events(self, query: str, *values: Any) -> tuple[TaskEvent, ...]:
        if not self.db.exists():
            return ()
        with self.db.read() as db:
            rows = db.execute(query, values).fetchall()
        return tuple(read_event(row) for row in rows)

    @contextmanager
    def held(self, lease: Lease) -> Iterator[sqlite3.Connection]:
        """One transaction of whoever holds the lease. Raises: LeaseLost."""
        with self.db.write() as db:
            self._held(db, lease)
            yield db

    def now(self) -> float:
        """Unix time in seconds."""
        return self._clock()

    def _held(self, db: sqlite3.Connection, lease: Lease) -> Task:
        row = db.execute(f"{SELECT} WHERE id = ?", (lease.task.id,)).fetchone()
        task = None if row is None else read_task(row)  # one that ended long ago is forgotten
        if task is None or task.fence != lease.fence or task.state in ENDED:
            raise LeaseLost("Another worker has this task, or it has ended. Nothing was written.")
        return task

    def _own(self, db: sqlite3.Connection, owner: str, task_id: str) -> str:
        if not any_task(db, "id = ? AND owner = ?", task_id, owner):
            raise RecordNotFound("There is no such task. List yours: GET /v1/tasks.", param="task_id")
        return task_id

    def _one(self, where: str, *values: str) -> Task | None:
        if not self.db.exists():
            return None
        with self.db.read() as db:
            row = db.execute(f"{SELECT} WHERE {where}", values).fetchone()
        return None if row is None else read_task(row)


def _nobody(task: Task, kind: str, data: Mapping[str, Any]) -> None:
    """Hears nothing."""
