"""Clients that wait until the task they began has a plan. Bounded in number and time; knows no route."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from serve_apps.gateway.task_rows import plan_of
from zoran_ray.autopilot import State, Task
from zoran_ray.errors import InvalidRequest, ZoranError

log = logging.getLogger("zoran.gateway")

AskTasks = Callable[..., Awaitable[Any]]
"""Calls a method of `TaskOffice` by its name."""

USUAL_WAIT_S = 20.0
MOST_WAIT_S = 60.0
MOST_WAITING = 64
"""Of one gateway."""
_LOOK_S = 10.0
"""Longest that the office is asked to wait at a time."""


class Plans:
    """Waits for plans, for some clients at a time.

    Args:
        ask: Who has the tasks.
    """

    def __init__(self, ask: AskTasks) -> None:
        self._ask = ask
        self._waiting = 0

    async def awaited(self, task: Task, wait_s: float) -> Task:
        """The task once it has a plan or stands still, or the time is over. Whether somebody waits changes
        nothing of it: where too many do, or nobody can be asked any more, it is given as it was.

        Args:
            wait_s: Longest wait, in seconds.
        """
        if self._waiting >= MOST_WAITING:
            return task
        self._waiting += 1
        try:
            return await self._planned(task, time.monotonic() + wait_s)
        except ZoranError as error:
            # The task is there; a client that got the error would begin it again.
            log.info("nobody can say whether a task has its plan: %s", error.code)
            return task
        finally:
            self._waiting -= 1

    async def _planned(self, task: Task, ends: float) -> Task:
        after = 0
        while _has_no_plan(task) and (left_s := ends - time.monotonic()) > 0:
            found = await self._ask("events", task.owner, task.id, after, min(_LOOK_S, left_s))
            after = found[-1].place if found else after
            task = await self._ask("task", task.owner, task.id)
        return task


def wait_of(fields: Mapping[str, Any]) -> float:
    """How long a client waits for the plan, in seconds. Raises: InvalidRequest."""
    value = fields.get("wait_s")
    if value is None:
        return USUAL_WAIT_S
    if type(value) in (int, float) and 0 <= value <= MOST_WAIT_S:
        return float(value)
    raise InvalidRequest(f"'wait_s' is wrong: give seconds from 0 to {MOST_WAIT_S:g}.", param="wait_s")


def _has_no_plan(task: Task) -> bool:
    """Whether one is still to come: it is made before anything else, unless the task is set aside."""
    return task.state is State.RECEIVED and plan_of(task) is None
