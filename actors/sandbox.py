"""A job of the sandbox as one Ray task: it waits for a `docker_slot` of a node, and is never run twice."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from actors.sandbox_reaper import Reapers
from zoran_ray.errors import DeadlineExceeded, SandboxUnavailable, ZoranError, plain
from zoran_ray.sandbox import Backend, Job, JobRequest, JobResult, Limits
from zoran_ray.sandbox.admission import Admission

SLOT = "docker_slot"
"""The custom resource: one for each container that a node may run at once."""

_OVERHEAD_S = 120.0
"""What a job may take besides its program: start, copying in and out, end; each has its own bound."""


def run_job(backend: Backend, request: JobRequest) -> JobResult:
    """The task; its container ends with this process. Raises: ZoranError: As `Job.run`."""
    return Job(backend, request).run()


class RaySandbox:
    """`CodeRunner` whose jobs run anywhere in the cluster that has Docker. Ray must be started.

    Args:
        backend: Which daemon on each node, and which image.
        limits: What each job may use.
        reapers: Those of the deployment; one `RaySandbox` of all has them.
        most: Jobs that run or wait; one more is refused.
        wait_s: Longest wait for a slot, in seconds.
    """

    def __init__(
        self,
        backend: Backend,
        limits: Limits | None = None,
        *,
        reapers: Reapers | None = None,
        most: int = 256,
        wait_s: float = 600.0,
    ) -> None:
        self._backend = backend
        self._limits = limits or Limits()
        self._admission = Admission(most)
        self._wait_s = wait_s
        self._reapers = reapers
        # Never retried: what broke one node would go on to break the next.
        self._task = ray.remote(run_job).options(num_cpus=0, resources={SLOT: 1}, max_retries=0)

    async def run(
        self,
        files: Mapping[str, bytes],
        argv: Sequence[str],
        *,
        timeout_s: float,
        limits: Limits | None = None,
    ) -> JobResult:
        """As `zoran_ray.sandbox.Sandbox.run`.

        Raises:
            SandboxUnavailable: No node has Docker, or the node is lost.
            Overloaded: Too many wait already.
            DeadlineExceeded: No slot became free in time.
            InvalidRequest: The files or the arguments are not what a sandbox takes.
        """
        with self._admission.one():
            await asyncio.to_thread(self._require_slots)
            limits = limits or self._limits
            request = JobRequest(dict(files), tuple(argv), timeout_s, limits)
            bound_s = self._wait_s + _OVERHEAD_S + min(timeout_s, limits.timeout_s)
            return await _result(self._task.remote(self._backend, request), bound_s)

    def _require_slots(self) -> None:
        """Refuse what would wait for ever, and see to it that every node has its reaper."""
        if not ray.cluster_resources().get(SLOT):
            raise SandboxUnavailable(
                f"Code cannot be run: no node of the cluster has the resource {SLOT}. Start one with "
                f"Docker and `ray start --resources='{{\"{SLOT}\": 2}}'`."
            )
        if self._reapers is not None:
            self._reapers.ensure(SLOT)


async def _result(ref: Any, bound_s: float) -> JobResult:
    try:
        async with asyncio.timeout(bound_s):
            result: JobResult = await ref
            return result
    except TimeoutError:
        _cancel(ref)
        raise DeadlineExceeded("No slot of the sandbox became free in time. Try again later.") from None
    except asyncio.CancelledError:
        _cancel(ref)
        raise
    except ZoranError as error:
        raise plain(error) from None
    except RayError as error:
        raise SandboxUnavailable(
            f"The sandbox's job was lost with its process or node ({type(error).__name__}). Try again."
        ) from None


def _cancel(ref: Any) -> None:
    """Ends the worker at once; the container goes with its connection."""
    with contextlib.suppress(RayError, ValueError):
        ray.cancel(ref, force=True)
