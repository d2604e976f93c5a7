"""Decisions of the policy that let a task do something outside, or refuse it: kept among its events.

One is written before what it allows is done, or the task is set aside for it; it waits here until the
journal has it. A worker that goes on where another was killed asks again: what was decided last about the
same thing at the same commit is not kept twice. Rules, commits and hashes alone: no reason, for reasons
name files. Knows no engine.
"""

import sqlite3
from dataclasses import asdict, dataclass
from typing import Any

from zoran_ray.autopilot.rows import stored, write_event
from zoran_ray.autopilot.tasks import Lease, Tasks

DECIDED = "decision"
"""The kind of the event that is a decision."""
MOST_RULE_CHARS = 160


@dataclass(frozen=True, slots=True)
class Decided:
    """What a policy said to a step.

    Attributes:
        what: The step: `paths`, `text`, `merge`, `deploy`, or `action:` and its name.
        repository: Its place among the task's, from 0.
        commit: What it was decided for.
        verdict: `allow`, `needs_person` or `deny`.
        passed: Whether the step may be taken: it is allowed, or a person has allowed it.
        rule: The rule that decided.
        policy: SHA-256 of the policy that was asked, in hexadecimal.
    """

    what: str
    repository: int
    commit: str
    verdict: str
    passed: bool
    rule: str
    policy: str


def keep_decision(tasks: Tasks, lease: Lease, decided: Decided) -> None:
    """Writes a decision down, unless it is what was decided last there. Raises: LeaseLost."""
    data = asdict(decided) | {"rule": decided.rule[:MOST_RULE_CHARS]}
    with tasks.held(lease) as db:
        if _last(db, lease.task.id, decided) != stored(data):
            write_event(db, lease.task.id, tasks.now(), DECIDED, data, told=False)


_LAST = """
SELECT data FROM events WHERE task = ? AND kind = ? AND json_extract(data, '$.what') = ?
AND json_extract(data, '$.repository') = ? AND json_extract(data, '$.commit') = ?
ORDER BY place DESC LIMIT 1
"""


def _last(db: sqlite3.Connection, task_id: str, decided: Decided) -> Any:
    """What was decided last about that step at that commit, as its row has it; None for nothing."""
    step = (decided.what, decided.repository, decided.commit)
    row = db.execute(_LAST, (task_id, DECIDED, *step)).fetchone()
    return None if row is None else row[0]
