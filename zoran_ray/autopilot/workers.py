"""Workers: each takes a task that waits, works on it until it stands still, and takes the next.

Knows leases and tasks; how a task is worked on, the pilot knows.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from zoran_ray.autopilot.task import State, Task, may_follow
from zoran_ray.autopilot.tasks import Lease, Tasks
from zoran_ray.batch.threads import in_thread
from zoran_ray.errors import LeaseLost, ZoranError

log = logging.getLogger("zoran.autopilot")

QUIET = frozenset({State.RECEIVED, State.PLANNED, State.EDITED})
"""In these, nothing that others can see is under way."""
LOOK_S = 2.0
"""How often somebody looks for tasks whose worker has gone."""
REST_S = 10.0
"""How long tasks are left alone where their file cannot be used."""


class WorksOn(Protocol):
    """Works on one task: the pilot."""

    async def run(self, lease: Lease) -> Task:
        """The task, as far as it came. Raises: LeaseLost: It is another's now. A cancellation stops it."""
        ...


class Workers:
    """Some workers over all tasks.

    Args:
        tasks: All tasks.
        pilot: Works on one.
        count: How many at a time.
        lease_s: How long a task is theirs unless renewed, in seconds.
    """

    def __init__(self, tasks: Tasks, pilot: WorksOn, count: int, lease_s: float) -> None:
        self._tasks = tasks
        self._pilot = pilot
        self._count = count
        self._lease_s = lease_s
        self._bell = asyncio.Event()
        self._running: dict[str, asyncio.Task[Task]] = {}

    def wake(self) -> None:
        """There is something to do."""
        self._bell.set()

    def cancel(self, task: Task) -> None:
        """Stops the work on a task at once where nothing that others see is under way. Elsewhere its worker
        ends it at its next step.
        """
        if task.state in QUIET and (running := self._running.get(task.id)):
            running.cancel()

    async def run(self) -> None:
        """Works until it is cancelled; what was under way then waits for whoever comes next."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._count):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            self._bell.clear()
            try:
                lease = await in_thread(self._tasks.claim, self._lease_s)
                if lease is not None:
                    await self._one(lease)
                    continue
            except ZoranError as error:
                log.error("tasks cannot be worked on: %s", error.message)
                await asyncio.sleep(REST_S)
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._bell.wait()
            except TimeoutError:
                pass

    async def _one(self, lease: Lease) -> None:
        work = self._running[lease.task.id] = asyncio.create_task(self._pilot.run(lease))
        try:
            # A cancellation of this worker goes on to the work; one of the work ends no worker.
            await asyncio.wait({work})
            work.result()
        except asyncio.CancelledError:
            if (me := asyncio.current_task()) and me.cancelling():
                work.cancel()
                await asyncio.wait({work})
                raise
            await in_thread(self._aside, lease, State.CANCELLED, {})
        except LeaseLost:
            log.info("%s is another worker's now", lease.task.id)
        except Exception as bug:
            # Its text may hold what a repository or a model said.
            log.error("%s failed: %s", lease.task.id, type(bug).__name__)
            # Otherwise it would be begun again and again.
            why = f"Unexpected {type(bug).__name__}; the server's log says when. Resume it to try again."
            failed = {"code": "internal_error", "why": why}
            await in_thread(self._aside, lease, State.FAILED, {"failed": failed})
        finally:
            del self._running[lease.task.id]
            await in_thread(self._tasks.release, lease)

    def _aside(self, lease: Lease, to: State, facts: Mapping[str, Any]) -> None:
        with contextlib.suppress(LeaseLost):
            now = self._tasks.renew(lease, self._lease_s).task
            if not now.finished and may_follow(now.state, to):
                self._tasks.move(lease, to, facts)
