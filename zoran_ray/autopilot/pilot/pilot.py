"""Takes one task from where it stands to its goal, stage by stage, or aside.

Every stage may be begun again at any point: what it did is written down, or is looked up before it is done.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from zoran_ray.autopilot.git import GitError
from zoran_ray.autopilot.pilot.asides import AwaitsPerson, GaveUp
from zoran_ray.autopilot.pilot.flight import Flight
from zoran_ray.autopilot.pilot.gate import gate
from zoran_ray.autopilot.pilot.held import HeldTask
from zoran_ray.autopilot.pilot.knowing import keep_fix
from zoran_ray.autopilot.pilot.mend import mend
from zoran_ray.autopilot.pilot.merge import merge
from zoran_ray.autopilot.pilot.publish import open_pulls, push
from zoran_ray.autopilot.pilot.release import deploy, watch
from zoran_ray.autopilot.pilot.rollback import roll_back
from zoran_ray.autopilot.pilot.world import PilotSettings, World
from zoran_ray.autopilot.task import Mode, State, Task, may_follow
from zoran_ray.autopilot.tasks import Lease, Tasks
from zoran_ray.batch.threads import in_thread
from zoran_ray.errors import LeaseLost, SandboxUnavailable, ZoranError
from zoran_ray.reasoning.budget import BudgetSpent

log = logging.getLogger("zoran.autopilot")

Stage = Callable[[Flight], Awaitable[State]]

STAGES: Mapping[State, Stage] = {
    State.RECEIVED: mend,
    State.PLANNED: mend,
    State.EDITED: mend,
    State.TESTED: push,
    State.PUSHED: open_pulls,
    State.PR_OPEN: gate,
    State.GATED: merge,
    State.MERGED: deploy,
    State.DEPLOYED: watch,
    State.ROLLING_BACK: roll_back,
}
"""What is done with a task that stands there."""


class Pilot:
    """Works on tasks, one at a time each call.

    Args:
        tasks: All tasks.
        world: Everything outside of them.
        settings: How to work.
    """

    def __init__(self, tasks: Tasks, world: World, settings: PilotSettings | None = None) -> None:
        self._tasks = tasks
        self._world = world
        self._settings = settings or PilotSettings()

    async def run(self, lease: Lease) -> Task:
        """The task at its goal, or aside: awaiting a person, failed, cancelled, rolled back.

        Raises:
            LeaseLost: Another worker has it, or the file of tasks cannot be written; everything stopped.
        """
        held = HeldTask(self._tasks, lease, self._settings.lease_s)
        work = asyncio.create_task(self._worked(held))
        keep = asyncio.create_task(held.keep_until_cancelled())
        try:
            await asyncio.wait((work, keep), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                keep.result()
                work.cancel()
                await asyncio.wait((work,))
                if work.cancelled():
                    await _end(held)
                    return held.task
            return work.result()
        except LeaseLost:
            raise
        except ZoranError as error:
            raise LeaseLost(f"The file of tasks cannot be used: {error.message}") from error
        finally:
            for each in (work, keep):
                each.cancel()
            await asyncio.gather(work, keep, return_exceptions=True)

    async def _worked(self, held: HeldTask) -> Task:
        try:
            policy = await in_thread(self._world.policy)
            await self._to_goal(Flight(held, self._world, self._settings, policy))
        except AwaitsPerson as aside:
            await _set_aside(held, State.AWAITING_HUMAN, {"awaiting": aside.facts})
        except GaveUp as aside:
            await _set_aside(held, State.FAILED, {"failed": aside.facts})
        except LeaseLost:
            raise
        except ZoranError as error:
            await _set_aside(held, State.FAILED, {"failed": {"code": error.code, "why": error.message}})
        except Exception as bug:
            # Its text may hold what a repository or a model said.
            kind = type(bug).__name__
            log.error("%s failed: %s", held.task.id, kind)
            why = f"Something failed that nobody foresaw ({kind}). The server's log says when."
            await _set_aside(held, State.FAILED, {"failed": {"code": "internal_error", "why": why}})
        return held.task

    async def _to_goal(self, flight: Flight) -> None:
        faults = 0
        while not flight.task.finished:
            if flight.task.cancelling and await _end(flight.held):
                continue
            try:
                to = await STAGES[flight.task.state](flight)
            except BudgetSpent as spent:
                raise GaveUp("budget", f"The task's budget is spent: {spent.reason}.") from None
            except ZoranError as error:
                await flight.rest(self._pause_s(error, faults))
                faults += 1
                continue
            faults = 0
            if to is flight.task.goal and flight.task.mode is not Mode.ADVISOR:
                await keep_fix(flight)
            if to is not flight.task.state:
                await flight.move(to)

    def _pause_s(self, error: ZoranError, faults: int) -> float:
        """How long to rest before a stage is begun again, in seconds. Raises: ZoranError: It is no use."""
        pauses, patience = self._settings.pauses_s, error.retry_after_s or 0.0
        passes = error.retryable or isinstance(error, GitError)
        lasts = isinstance(error, (LeaseLost, SandboxUnavailable))
        if lasts or not passes or faults >= len(pauses) or patience > self._settings.longest_pause_s:
            raise error
        return max(pauses[faults], patience)


async def _end(held: HeldTask) -> bool:
    """Ends a task that somebody wants ended; what others have seen is rolled back. Whether it moved."""
    here = held.task.state
    to = State.CANCELLED if may_follow(here, State.CANCELLED) else State.ROLLING_BACK
    if not may_follow(here, to):
        return False
    await held.move(to, {"awaiting": None, "failed": None}, {})
    return True


async def _set_aside(held: HeldTask, to: State, facts: dict[str, object]) -> None:
    await held.move(to, facts, facts)
