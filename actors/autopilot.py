"""The one process that keeps tasks and works on them. Gateways reach it by name, wherever they are.

What tasks need is imported with the first of them: it takes seconds, and 60 MB.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.names import resume_soon
from zoran_ray.autopilot.database import DATABASE, FOLDER
from zoran_ray.settings import Settings

if TYPE_CHECKING:
    from zoran_ray.autopilot.office import TaskOffice

ASKED = frozenset({"start", "task", "tasks", "events", "trace", "diff", "approve", "cancel", "resume"})
"""What gateways may ask."""


class AutopilotWorker:
    """`TaskOffice` for a mailbox. `actors.cluster` gives it one.

    Args:
        settings: Of the deployment.
        office: Makes the office; None for that of the deployment.
    """

    def __init__(
        self, settings: Settings, office: "Callable[[Settings], TaskOffice] | None" = None
    ) -> None:
        self._settings = settings
        self._make = office or _deployed
        self._office: TaskOffice | None = None
        self._opening = asyncio.Lock()
        resume_soon()

    async def resume(self) -> None:
        """Goes on with what an earlier process left, if there is anything."""
        if (self._settings.state_dir / FOLDER / DATABASE).exists():
            await self._ready()

    async def ask(self, method: str, *args: Any) -> Any:
        """Calls a method of `TaskOffice`. Raises: ZoranError: What it raises."""
        assert method in ASKED
        return await getattr(await self._ready(), method)(*args)

    async def metrics(self) -> str:
        """What is counted, in Prometheus's text format; empty before the first task."""
        return "" if self._office is None else await self._office.metrics()

    async def stop(self) -> None:
        """Stops what runs and lets go of the file."""
        if self._office is not None:
            await self._office.stop()

    async def _ready(self) -> "TaskOffice":
        async with self._opening:
            if self._office is None:
                office = await asyncio.to_thread(self._make, self._settings)
                await office.begin()
                self._office = office
            return self._office


def _deployed(settings: Settings) -> "TaskOffice":
    from actors.autopilot_office import deployed_office

    return deployed_office(settings)
