"""One run of tests in a sandbox. Knows pytest's command line; knows no sandbox but by its protocol."""

import secrets
from collections.abc import Mapping, Sequence

from zoran_ray.autopilot.testing.canary import Canary
from zoran_ray.autopilot.testing.evidence import Run
from zoran_ray.autopilot.testing.junit import JUnitError, read_junit
from zoran_ray.tools.code_runner import CodeRunner, Ran

PYTEST = (
    *("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "junit_family=xunit2"),
    "--continue-on-collection-errors",  # a file that cannot be imported keeps no other from running
)
MOST_SHOWN_CHARS = 6_000

_FAILED = 1
"""What pytest ends with where tests failed, as one always does. Source: pytest's `ExitCode`."""


async def run_tests(
    runner: CodeRunner,
    files: Mapping[str, bytes],
    *,
    command: Sequence[str] = PYTEST,
    paths: Sequence[str] = (".",),
    timeout_s: float,
) -> tuple[Run, str]:
    """Outcomes of the tests, and the end of what the run wrote, for a model to read.

    Args:
        runner: The sandbox.
        files: Of the whole tree, by path.
        command: Runs pytest; paths and the report's name are added.
        paths: Where the tests are.
        timeout_s: Longest run, in seconds.

    Raises:
        ZoranError: There is no sandbox, or it could run nothing.
    """
    canary = Canary(secrets.token_hex(8))
    report = f".zoran-{canary.nonce}.xml"
    ran = await runner.run(
        {**files, canary.path: canary.text},
        (*command, f"--junitxml={report}", *paths, canary.path),
        timeout_s=timeout_s,
    )
    said = (ran.stdout + b"\n" + ran.stderr)[-4 * MOST_SHOWN_CHARS :].decode(errors="replace")
    return _judged(ran, canary, report), said[-MOST_SHOWN_CHARS:].replace(canary.nonce, "…")


def _judged(ran: Ran, canary: Canary, report: str) -> Run:
    if ran.timed_out:
        return Run({}, fault="the tests did not end in time.")
    if report not in ran.files_out:
        return Run({}, fault=f"there is no report of the tests (exit status {ran.exit_status}).")
    try:
        outcomes, honest = canary.taken_out(read_junit(ran.files_out[report]))
    except JUnitError as error:
        return Run({}, fault=str(error))
    return Run(outcomes, honest and ran.exit_status == _FAILED)
