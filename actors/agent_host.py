"""The process of one role. It asks no model: whoever sent a job does that, see `zoran_ray.agents.messages`.

One process for each role, started when the role is first wanted: what a tool, a picture or a page does to
one of them (memory, a library that crashes) leaves the others alone, and a role nobody uses costs nothing.
"""

import asyncio
import os
from collections.abc import Callable

from actors.agent_roles import maker
from zoran_ray.agents.desk import Desk, Make
from zoran_ray.agents.messages import Heard, Job, Reply
from zoran_ray.settings import Settings

_SWEEP_S = 1.0


class AgentHost:
    """A `Desk` for a mailbox. `AgentSupervisor` gives it one.

    Args:
        role: Which role.
        settings: What it may read and use, and how much it takes on.
        make: How the role is made.
    """

    def __init__(
        self, role: str, settings: Settings, make: Callable[[str, Settings], Make] = maker
    ) -> None:
        agents = settings.agents
        self._desk = Desk(make(role, settings), agents.running, agents.waiting)
        self._sweeping: asyncio.Task[None] | None = None

    async def begin(self, job: Job) -> None:
        """See `Desk`."""
        await self._desk.begin(job)

    async def hear(self, job_id: str) -> Heard:
        """See `Desk`."""
        return await self._desk.hear(job_id)

    async def reply(self, job_id: str, reply: Reply) -> None:
        """See `Desk`."""
        self._desk.reply(job_id, reply)

    async def stop(self, job_id: str) -> None:
        """See `Desk`."""
        self._desk.stop(job_id)

    async def well(self) -> dict[str, int]:
        """Answers while the event loop turns: its process, and how many jobs it has."""
        if self._sweeping is None:
            self._sweeping = asyncio.create_task(self._sweep())
        return {"pid": os.getpid(), "jobs": len(self._desk)}

    async def ended(self) -> None:
        """Never returns: the call ends with the process, and whoever made it knows at once."""
        await asyncio.Event().wait()

    async def _sweep(self) -> None:
        while True:
            self._desk.sweep()
            await asyncio.sleep(_SWEEP_S)
