"""A sandbox whose jobs are counted and timed. Knows it by its protocol alone."""

import time
from collections.abc import Callable, Mapping, Sequence

from zoran_ray.errors import ZoranError
from zoran_ray.tools.code_runner import CodeRunner, Ran


class CountedRunner:
    """A `CodeRunner`.

    Args:
        runner: Whose jobs they are.
        count: Hears how each ended, one of `telemetry.names.JOB_OUTCOMES`, and how long it took in seconds.
    """

    def __init__(self, runner: CodeRunner, count: Callable[[str, float], None]) -> None:
        self._runner = runner
        self._count = count

    async def run(self, files: Mapping[str, bytes], argv: Sequence[str], *, timeout_s: float) -> Ran:
        """See `CodeRunner.run`. What is cancelled is not counted."""
        began = time.monotonic()
        try:
            ran = await self._runner.run(files, argv, timeout_s=timeout_s)
        except ZoranError:
            self._count("not_run", time.monotonic() - began)
            raise
        self._count(_outcome(ran), time.monotonic() - began)
        return ran


def _outcome(ran: Ran) -> str:
    if ran.timed_out:
        return "timed_out"
    return "exited" if ran.exit_status is not None else "killed"
