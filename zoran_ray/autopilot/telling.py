"""Moves of tasks and decisions about them on their way to the journal: in order, at least once, none lost.

One waits in the file of tasks until the journal has it on its disk. Who was cut off in between tells it
again; its place tells the two apart. Knows no journal's file.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson

from zoran_ray.autopilot.decisions import DECIDED
from zoran_ray.autopilot.pilot import parts_of
from zoran_ray.autopilot.rows import TaskEvent, the_task
from zoran_ray.autopilot.task import Task
from zoran_ray.autopilot.tasks import Tasks
from zoran_ray.batch.threads import in_thread
from zoran_ray.journal import Event, Kind, token

log = logging.getLogger("zoran.autopilot")

EVERY_S = 0.5
REST_S = 5.0
"""How long a journal that is away is left alone."""

TellMoves = Callable[[Sequence[Event]], Awaitable[object]]
"""Writes events into the journal; returns once they are on its disk. Raises: ZoranError."""


class Telling:
    """Tells the journal of every move and decision.

    Args:
        tasks: Where they wait.
        tell: Writes them.
        policy_hash: Of the operator's policy as it is now.
        rest_s: How long a journal that is away is left alone, in seconds.
    """

    def __init__(
        self, tasks: Tasks, tell: TellMoves, policy_hash: Callable[[], str | None], rest_s: float = REST_S
    ) -> None:
        self._tasks = tasks
        self._tell = tell
        self._policy_hash = policy_hash
        self._rest_s = rest_s

    async def run(self) -> None:
        """Tells for ever; a journal that is away is told later."""
        away = False
        while True:
            try:
                while await self.once():
                    away = False
                await asyncio.sleep(EVERY_S)
            except Exception as failure:
                if not away:
                    log.warning("moves of tasks wait for the journal: %s", type(failure).__name__)
                away = True
                await asyncio.sleep(self._rest_s)

    async def once(self) -> int:
        """Tells what waits, up to a bound. Returns: How many events. Raises: ZoranError: They wait on."""
        moves = await in_thread(self._tasks.untold)
        if moves:
            await self._tell(await in_thread(self._events, moves))
            await in_thread(self._tasks.told, moves[-1].place)
        return len(moves)

    def _events(self, moves: Sequence[TaskEvent]) -> list[Event]:
        now = self._policy_hash()
        with self._tasks.db.read() as db:
            tasks = {task_id: the_task(db, task_id) for task_id in {move.task for move in moves}}
        return [journal_event(move, tasks[move.task], now) for move in moves]


def journal_event(event: TaskEvent, task: Task, policy_hash: str | None) -> Event:
    """What the journal keeps of a move or decision: no text, but what shows that a text is the one it was.

    Args:
        task: Whose it is, as it is now.
        policy_hash: Of the operator's policy, for a task that no single policy holds for yet.
    """
    if event.kind == DECIDED:
        kind, said = Kind.POLICY_DECISION, _said(event)
    else:
        kind, said = Kind.TASK_TRANSITION, _moved(event, task, policy_hash)
    meta = {"task": task.id, "place": event.place, "mode": task.mode.value, **said}
    return Event(kind, meta, tenant=task.owner, at_ms=round(event.at * 1000))


def _said(event: TaskEvent) -> dict[str, Any]:
    """Rules of the policy's own have names with spaces, which no entry can hold: `built in: head`."""
    rule = str(event.data["rule"]).replace(": ", ":").replace(" ", "_")
    return {**event.data, "rule": token(rule)}


def _moved(move: TaskEvent, task: Task, policy_hash: str | None) -> dict[str, Any]:
    facts = move.data.get("facts") or {}
    own = {part.policy for part in parts_of(task)} - {""}
    return {
        "from": move.data["from"], "to": move.data["to"],
        "policy": own.pop() if len(own) == 1 else policy_hash,
        "facts_sha256": hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest(),
    }  # fmt: skip
