"""A pilot that goes the straight way and touches nothing, and a journal in memory; for tests."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoran_ray.autopilot import Lease, State, Task, Tasks
from zoran_ray.autopilot.calls import Made, keep_call
from zoran_ray.autopilot.engineer import Plan
from zoran_ray.autopilot.pilot import Part
from zoran_ray.autopilot.task import PATH
from zoran_ray.errors import Unavailable
from zoran_ray.journal import Event
from zoran_ray.reasoning.completion import Completion, Completions, Sampling, Used
from zoran_ray.reasoning.trace import Call


class Course:
    """Moves a task on step by step.

    Args:
        tasks: All tasks.
        asks_at: Where it waits for a person, once.
        hangs_at: Where it works for ever.
        breaks_once_at: Where it fails with a text that nobody may see, once.
        commit: What an approval would hold for; None where none can help.
        says: What its model says when it is asked for a plan; None: it has none.
    """

    def __init__(
        self,
        tasks: Tasks,
        asks_at: State | None = None,
        hangs_at: State | None = None,
        breaks_once_at: State | None = None,
        commit: str | None = "c" * 40,
        says: str | None = None,
    ) -> None:
        self._says = says
        self._commit = commit
        self._tasks = tasks
        self._asks_at = asks_at
        self._hangs_at = hangs_at
        self._breaks_once_at = breaks_once_at
        self.seen = False

    async def run(self, lease: Lease) -> Task:
        """See `Pilot.run`."""
        while not lease.task.finished:
            state = lease.task.state
            if state is self._hangs_at:
                await asyncio.Event().wait()
            if state is self._breaks_once_at:
                self._breaks_once_at = None
                raise RuntimeError("a secret of the repository")
            if state is self._asks_at and not lease.task.facts.get("approved"):
                why = {"what": "paths", "why": "A risky path.", "commit": self._commit}
                return self._tasks.move(lease, State.AWAITING_HUMAN, {"awaiting": why}).task
            facts = self._planned(lease) if state is State.RECEIVED and self._says else {}
            lease = self._tasks.move(lease, PATH[PATH.index(state) + 1], facts)
            await asyncio.sleep(0)
        return lease.task

    def _planned(self, lease: Lease) -> dict[str, Any]:
        """Facts with a plan; the call that gave it is kept."""
        says = str(self._says)
        answer = Completions((Completion(says),), Used(1, 7, 0, 5, 12))
        call = Call(({"role": "user", "content": "Plan."},), Sampling(), answer)
        keep_call(self._tasks, lease, Made(0, "plan", call, lambda text: text))
        part = Part(0, "https://git.example.com/acme/shop", "main", "b" * 40, plan=Plan(says, ("a.py",)))
        return {"repositories": [part.facts()]}


class Journal:
    """Takes events, after it has refused some. Args: refuses: How many times."""

    def __init__(self, refuses: int = 0) -> None:
        self._refuses = refuses
        self.events: list[Event] = []

    async def __call__(self, events: Sequence[Event]) -> int:
        if self._refuses:
            self._refuses -= 1
            raise Unavailable("The journal is away.")
        self.events += events
        return len(self.events)


def request_fields(repo_path: str) -> dict[str, Any]:
    """What somebody asks for."""
    return {"message": "The discount is wrong.", "repo_path": repo_path}


def repository(folder: Path) -> Path:
    """A folder that looks like a git repository from outside."""
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    return folder
