"""The sandbox of a deployment, as its settings say, for whoever runs programs in this process."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from actors.sandbox import RaySandbox
from actors.sandbox_reaper import Reapers
from zoran_ray.sandbox import JobResult, Limits
from zoran_ray.sandbox.configured import backend_of
from zoran_ray.sandbox.daemon import Backend
from zoran_ray.settings import SandboxSettings


class DeploymentSandbox:
    """`CodeRunner` that looks for its image at each program: one that is built later is found.

    Args:
        settings: Which daemon and which image.
        state_dir: Where the deployment's own image is noted.
        limits: What each job may use; None for what fits small programs.
    """

    def __init__(self, settings: SandboxSettings, state_dir: Path, limits: Limits | None = None) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._limits = limits
        self._made: tuple[Backend, RaySandbox] | None = None

    async def run(self, files: Mapping[str, bytes], argv: Sequence[str], *, timeout_s: float) -> JobResult:
        """See `RaySandbox.run`. Raises: SandboxUnavailable: There is no image yet, too."""
        backend = await asyncio.to_thread(backend_of, self._settings, self._state_dir)
        if self._made is None or self._made[0] != backend:
            self._made = backend, RaySandbox(backend, self._limits, reapers=Reapers(backend))
        return await self._made[1].run(files, argv, timeout_s=timeout_s)
