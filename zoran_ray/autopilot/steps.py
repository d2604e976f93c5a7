"""Steps that the world sees, taken once: say what is meant, look whether it is done, do it, write it down.

Whenever a worker ends in between, the next one finds the intent and looks before it acts. Knows no git and
no forge: what a step is comes from outside.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from zoran_ray.autopilot.tasks import Lease, Tasks

Json = Mapping[str, Any]


def once(
    tasks: Tasks,
    lease: Lease,
    name: str,
    intent: Json,
    look_up: Callable[[Json], Json | None],
    act: Callable[[Json], Json],
) -> Json:
    """The result of a step that is taken once, whatever ends when.

    Args:
        name: Of the step, unique within its task: `push 1`.
        intent: Everything that says what is meant; what was meant first is what holds.
        look_up: The result of the step if the world shows that it was taken, else None.
        act: Takes it.

    Raises:
        LeaseLost: Another worker has the task.
        ZoranError: What `look_up` and `act` raise; the intent stays and the step may be tried again.
    """
    meant, result = intended(tasks, lease, name, intent)
    if result is not None:
        return result
    found = look_up(meant)
    if found is None:
        tasks.renew(lease, max(lease.until - tasks.now(), _LEAST_S))  # nobody acts on a lease that is lost
        found = act(meant)
    return _recorded(tasks, lease, name, found)


_LEAST_S = 30.0


def intended(tasks: Tasks, lease: Lease, name: str, intent: Json) -> tuple[Json, Json | None]:
    """What was meant first under this name, and its result if it is written down. Raises: LeaseLost."""
    with tasks.held(lease) as db:
        db.execute(
            "INSERT OR IGNORE INTO steps (task, name, intent) VALUES (?, ?, ?)",
            (lease.task.id, name, orjson.dumps(intent).decode()),
        )
        query = "SELECT intent, result FROM steps WHERE task = ? AND name = ?"
        meant, result = db.execute(query, (lease.task.id, name)).fetchone()
    return orjson.loads(meant), None if result is None else orjson.loads(result)


def _recorded(tasks: Tasks, lease: Lease, name: str, result: Json) -> Json:
    """Writes a result down; one that stands already stays. Raises: LeaseLost."""
    with tasks.held(lease) as db:
        db.execute(
            "UPDATE steps SET result = ? WHERE task = ? AND name = ? AND result IS NULL",
            (orjson.dumps(result).decode(), lease.task.id, name),
        )
    return result
