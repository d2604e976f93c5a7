"""Runs jobs from asyncio, a few at a time, each in a thread of this process: a `CodeRunner` without Ray."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from zoran_ray.sandbox.admission import Admission
from zoran_ray.sandbox.daemon import Backend
from zoran_ray.sandbox.job import Job, JobRequest, JobResult
from zoran_ray.sandbox.limits import Limits

_END_S = 30.0
"""Longest wait for a cancelled job's end; its container ends by itself all the same."""


class Sandbox:
    """Containers on a Docker daemon; one for each job.

    Args:
        backend: Where they run.
        limits: What each may use.
        slots: Jobs at once.
        waiting: Jobs that may wait for a slot; one more is refused.
    """

    def __init__(
        self, backend: Backend, limits: Limits | None = None, *, slots: int = 2, waiting: int = 64
    ) -> None:
        self._backend = backend
        self._limits = limits or Limits()
        self._admission = Admission(slots + waiting)
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="sandbox")
        self._slots = asyncio.Semaphore(slots)

    async def run(
        self,
        files: Mapping[str, bytes],
        argv: Sequence[str],
        *,
        timeout_s: float,
        limits: Limits | None = None,
    ) -> JobResult:
        """Runs one program in a container of its own. A cancellation ends it at once.

        Args:
            files: Contents by relative path, in its working folder.
            argv: The program and its arguments; no shell reads them.
            timeout_s: Longest that it may run, in seconds; the limits may say less.
            limits: For this job, instead of those of the sandbox.

        Raises:
            Overloaded: Too many wait already.
            InvalidRequest, SandboxUnavailable, DeadlineExceeded: As `Job.run`.
        """
        with self._admission.one():
            async with self._slots:
                request = JobRequest(dict(files), tuple(argv), timeout_s, limits or self._limits)
                return await self._in_a_thread(Job(self._backend, request))

    async def _in_a_thread(self, job: Job) -> JobResult:
        running = asyncio.get_running_loop().run_in_executor(self._threads, job.run)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            # The thread ends because its container does; until then the slot is not free.
            ending = asyncio.gather(asyncio.to_thread(job.cancel), running, return_exceptions=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending, _END_S)
            raise

    def close(self) -> None:
        """Let the threads go; jobs that run end as they would have."""
        self._threads.shutdown(wait=False)
