"""One task that this worker holds: renewed in the background, written to from one place at a time."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from zoran_ray.autopilot.calls import Made, keep_call
from zoran_ray.autopilot.decisions import Decided, keep_decision
from zoran_ray.autopilot.task import State, Task
from zoran_ray.autopilot.tasks import Lease, Tasks
from zoran_ray.batch.threads import in_thread

_QUIET = frozenset({State.RECEIVED, State.PLANNED, State.EDITED})
"""In these, nothing that others can see is under way."""


class HeldTask:
    """A task and the lease on it.

    Args:
        tasks: All tasks.
        lease: On this one.
        lease_s: How long a renewed lease holds, in seconds.
    """

    def __init__(self, tasks: Tasks, lease: Lease, lease_s: float) -> None:
        self.tasks = tasks
        self.lease = lease
        self._lease_s = lease_s
        self._turn = asyncio.Lock()

    @property
    def task(self) -> Task:
        """As it was when it was last written or renewed."""
        return self.lease.task

    async def learn(self, facts: Mapping[str, Any]) -> None:
        """More is known of it. Raises: LeaseLost."""
        await self._take(lambda: self.tasks.learn(self.lease, facts))

    async def move(self, to: State, facts: Mapping[str, Any], told: Mapping[str, Any]) -> None:
        """It stands there now. Args: told: What others hear of it. Raises: LeaseLost, InvalidRequest."""
        await self._take(lambda: self.tasks.move(self.lease, to, facts, told))

    async def note(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tells whoever watches. Raises: LeaseLost."""
        await in_thread(self.tasks.note, self.lease, kind, data)

    async def decided(self, decided: Decided) -> None:
        """Keeps a decision of the policy, once. Raises: LeaseLost."""
        await in_thread(keep_decision, self.tasks, self.lease, decided)

    async def asked(self, made: Made) -> None:
        """Keeps a call of the model. Raises: LeaseLost."""
        await in_thread(keep_call, self.tasks, self.lease, made)

    async def keep_until_cancelled(self) -> None:
        """Renews the lease until somebody asks for the task's end and nothing that others see is under way.

        Raises:
            LeaseLost: Another worker has the task.
        """
        while not (self.task.cancelling and self.task.state in _QUIET):
            await asyncio.sleep(self._lease_s / 3)
            await self._take(lambda: self.tasks.renew(self.lease, self._lease_s))

    async def _take(self, write: Callable[[], Lease]) -> None:
        async with self._turn:  # of two answers the older one must not be kept
            self.lease = await in_thread(write)
