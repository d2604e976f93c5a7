"""Tasks without HTTP: what gateways ask, the workers behind them, and the journal that hears of it.

One process has it. Every value that goes in and out is plain and picklable; nothing is on the disk before
the first task comes. Every method raises `ConfigError` where the file of tasks or the policy cannot be
used, and `Unavailable` where the file is busy.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoran_ray.autopilot.calls import KeptCall, kept_calls
from zoran_ray.autopilot.conversation import MOST_TASKS, said_before
from zoran_ray.autopilot.copies import COPIES
from zoran_ray.autopilot.database import FOLDER, task_database
from zoran_ray.autopilot.forgetting import Forgetting
from zoran_ray.autopilot.metrics import TaskMetrics
from zoran_ray.autopilot.pilot import diff_of
from zoran_ray.autopilot.remote import Whereabouts
from zoran_ray.autopilot.request import Asked, allowed_mode, read_request
from zoran_ray.autopilot.rows import TaskEvent
from zoran_ray.autopilot.task import Mode, State, Task
from zoran_ray.autopilot.tasks import Tasks
from zoran_ray.autopilot.telling import Telling, TellMoves
from zoran_ray.autopilot.workers import Workers, WorksOn
from zoran_ray.batch.threads import in_thread
from zoran_ray.errors import InvalidRequest, RecordNotFound, ZoranError
from zoran_ray.policy import Policy, policy_hash

MOST_WAIT_S = 30.0
MOST_EVENTS = 256
"""Of one answer."""
_FIRST_LOOK_S = 0.1
_MOST_LOOK_S = 1.0
"""Whoever has waited long may wait a little longer: a look is two reads of the file."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What tasks may be asked for.

    Attributes:
        policy: Reads the operator's policy, anew for each task.
        places: Where repositories may be, by the id of the key that asks.
        model: Who is asked where a request names nobody.
        targets: What can be deployed to.
        workers: Tasks that are worked on at a time.
        lease_s: How long one is a worker's unless renewed, in seconds.
        keep_days: How long one is remembered that is finished, in days.
        keep_tasks: How many finished ones are remembered at most.
    """

    policy: Callable[[], Policy]
    places: Callable[[str], Whereabouts]
    model: str
    targets: Collection[str] = ()
    workers: int = 1
    lease_s: float = 60.0
    keep_days: int = 30
    keep_tasks: int = 10_000


class TaskOffice:
    """All tasks of all owners.

    Args:
        state_dir: Folder of everything durable.
        rules: What may be asked for.
        pilot: Makes whoever works on tasks.
        tell: Writes moves into the journal.
        clock: Unix time in seconds.
        metrics: Counts what happens.
    """

    def __init__(
        self,
        state_dir: Path,
        rules: Rules,
        pilot: Callable[[Tasks], WorksOn],
        tell: TellMoves,
        clock: Callable[[], float] = time.time,
        metrics: TaskMetrics | None = None,
    ) -> None:
        self._rules = rules
        self._now = clock
        self._metrics = metrics or TaskMetrics()
        self._tasks = Tasks(task_database(state_dir / FOLDER), clock, self._metrics.heard)
        self._workers = Workers(self._tasks, pilot(self._tasks), rules.workers, rules.lease_s)
        self._telling = Telling(self._tasks, tell, self._policy_hash)
        self._forgetting = Forgetting(
            self._tasks, state_dir / FOLDER / COPIES, rules.keep_days, rules.keep_tasks
        )
        self._deciding = asyncio.Lock()
        self._running: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Takes up what another process left."""
        working = (self._workers, self._telling, self._forgetting)
        self._running = [asyncio.create_task(each.run()) for each in working]

    async def stop(self) -> None:
        """Stops what runs; another `begin` takes it up."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await in_thread(self._tasks.db.close)

    async def start(self, owner: str, key_id: str, fields: Mapping[str, Any]) -> Task:
        """A new task, worked on as soon as somebody is free.

        Args:
            key_id: In whose name models are asked.
            fields: Of a body; from anybody.

        Raises:
            InvalidRequest: A field is wrong; `param` is its name.
            PermissionDenied: A repository may not be worked on.
            RecordNotFound: There is no such thread.
            Overloaded: Too many of the owner's tasks are not finished.
        """
        task = await in_thread(self._create, owner, key_id, fields)
        self._workers.wake()
        return task

    async def task(self, owner: str, task_id: str) -> Task:
        """Raises: RecordNotFound."""
        return await in_thread(self._tasks.get, owner, task_id)

    async def tasks(
        self, owner: str, thread: str | None, after: str | None, limit: int
    ) -> tuple[tuple[Task, ...], bool]:
        """Tasks, the newest first, and whether there are more. Raises: RecordNotFound."""
        return await in_thread(self._tasks.list, owner, thread=thread, after=after, limit=limit)

    async def events(
        self, owner: str, task_id: str, after: int = 0, wait_s: float = 0.0
    ) -> tuple[TaskEvent, ...]:
        """What happened to a task after a place, the oldest first; at most 256 at once.

        Args:
            after: Place of the last event that is known.
            wait_s: How long to wait for one where there is none, in seconds; none comes of a finished task.

        Raises:
            RecordNotFound: This owner has no such task.
        """
        until, pause_s = time.monotonic() + min(wait_s, MOST_WAIT_S), _FIRST_LOOK_S
        while True:
            # In this order: what happened before it was finished is then told.
            task = await in_thread(self._tasks.get, owner, task_id)
            found = await in_thread(self._tasks.events, task_id, after, MOST_EVENTS)
            if found or task.finished or time.monotonic() >= until:
                return found
            await asyncio.sleep(pause_s)
            pause_s = min(1.5 * pause_s, _MOST_LOOK_S)

    async def trace(self, owner: str, task_id: str) -> tuple[Task, tuple[KeptCall, ...]]:
        """A task and its calls of the model, the oldest first. Raises: RecordNotFound."""
        task = await self.task(owner, task_id)
        return task, await in_thread(kept_calls, self._tasks, task_id)

    async def diff(self, owner: str, task_id: str) -> str:
        """The change as it stands, empty where there is none yet. Raises: RecordNotFound."""
        return diff_of(await self.task(owner, task_id))

    async def approve(
        self, owner: str, task_id: str, by: str, what: str | None = None, commit: str | None = None
    ) -> Task:
        """A person allows what the task waits for: that, at that commit, and nothing else.

        Args:
            by: Who; the name of a key.
            what: What the person saw it wait for; None for whatever it is.
            commit: At which commit the person saw it; None for whichever it is.

        Raises:
            RecordNotFound: This owner has no such task.
            InvalidRequest: It waits for nobody, for something else, or for what no approval can give.
        """
        async with self._deciding:
            task = await self.task(owner, task_id)
            awaiting = task.facts.get("awaiting")
            if task.state is not State.AWAITING_HUMAN or not awaiting:
                raise InvalidRequest(f"This task is {task.state}; nobody is waited for.", param="task_id")
            _refuse_other(awaiting, what, commit)
            told = {"what": awaiting["what"], "commit": awaiting["commit"], "by": by, "at": self._now()}
            approved = [*task.facts.get("approved", ()), told]
            return await self._resumed(owner, task_id, {"approved": approved})

    async def resume(self, owner: str, task_id: str) -> Task:
        """Sends a task back to where it was set aside. Raises: RecordNotFound, InvalidRequest."""
        async with self._deciding:
            return await self._resumed(owner, task_id, {})

    async def cancel(self, owner: str, task_id: str) -> Task:
        """Ends a task, or has its worker end it. Raises: RecordNotFound, InvalidRequest: It is finished."""
        async with self._deciding:
            task = await in_thread(self._tasks.cancel, owner, task_id)
        if task.cancelling:
            self._workers.cancel(task)
        return task

    async def metrics(self) -> str:
        """What is counted, in Prometheus's text format."""
        return self._metrics.text(await in_thread(self._tasks.standing))

    async def _resumed(self, owner: str, task_id: str, facts: Mapping[str, Any]) -> Task:
        task = await in_thread(self._tasks.resume, owner, task_id, facts)
        self._workers.wake()
        return task

    def _create(self, owner: str, key_id: str, fields: Mapping[str, Any]) -> Task:
        policy, places = self._rules.policy(), self._rules.places(key_id)
        asked = read_request(
            fields, places=places, policy=policy, model=self._rules.model, targets=self._rules.targets
        )
        before = self._thread(owner, asked.thread)
        repositories = asked.repositories or tuple(before[0].request["repositories"])
        mode = asked.mode
        if not asked.repositories:
            for each in repositories:
                places.again(each)
            mode = allowed_mode(asked.mode, policy, repositories)
        request = _request(asked, key_id, repositories, said_before(before))
        ends_merged = mode is Mode.SOVEREIGN and asked.deploy is None
        return self._tasks.create(
            owner, mode, request, thread=asked.thread, goal=State.MERGED if ends_merged else None
        )

    def _thread(self, owner: str, thread: str | None) -> tuple[Task, ...]:
        """The last tasks of a thread, the newest first; none where a new one begins."""
        if thread is None:
            return ()
        found, _ = self._tasks.list(owner, thread=thread, limit=MOST_TASKS)
        if not found:
            raise RecordNotFound("There is no such thread.", param="thread_id")
        return found

    def _policy_hash(self) -> str | None:
        try:
            return policy_hash(self._rules.policy())
        except ZoranError:
            return None  # the policy's file is wrong now; the move happened all the same


def _request(asked: Asked, key_id: str, repositories: Collection[Any], before: str) -> dict[str, Any]:
    return {
        "message": asked.message, "known": "\n\n".join(filter(None, (before, asked.known))),
        "repositories": list(repositories), "model": asked.model, "key_id": key_id, "deploy": asked.deploy,
        "mode_asked": asked.mode_asked, "once": asked.once,
    }  # fmt: skip


def _refuse_other(awaiting: Mapping[str, Any], what: str | None, commit: str | None) -> None:
    if awaiting.get("commit") is None:
        raise InvalidRequest("No approval can help here. Do what the task asks for, then resume it.")
    for name, said in (("what", what), ("commit", commit)):
        if said is not None and said != awaiting.get(name):
            raise InvalidRequest(
                f"This task waits for something else by now: {awaiting['what']}. Look at it again.",
                param=name,
            )
