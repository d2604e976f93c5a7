"""One run of tests in a sandbox. Knows pytest's command line; knows no sandbox but by its protocol."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from zoran_ray.autopilot.testing.canary import Canary
from zoran_ray.autopilot.testing.coverage import Lines, covered
from zoran_ray.autopilot.testing.dependency import Files, laid
from zoran_ray.autopilot.testing.evidence import Run
from zoran_ray.autopilot.testing.junit import JUnitError, failed_saying, read_junit
from zoran_ray.autopilot.testing.names import unknown_names
from zoran_ray.autopilot.testing.watch import Watch
from zoran_ray.errors import ConfigError
from zoran_ray.tools.code_runner import CodeRunner, Ran

PYTEST = (
    *("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "junit_family=xunit2"),
    "--continue-on-collection-errors",  # a file that cannot be imported keeps no other from running
)
MOST_SHOWN_CHARS = 6_000

_TEST_SHARE = 1 / 4
"""How much of a run's time one test may take. Those that hang take half of it: each ends sooner."""

_FAILED = 1
"""What pytest ends with where tests failed, as one always does. Source: pytest's `ExitCode`."""


async def run_tests(
    runner: CodeRunner,
    files: Mapping[str, bytes],
    *,
    command: Sequence[str] = PYTEST,
    paths: Sequence[str] = (".",),
    timeout_s: float,
    changed: Lines | None = None,
    secret: str | None = None,
    beside: Sequence[Files] = (),
) -> tuple[Run, str]:
    """Outcomes of the tests, and the end of what the run wrote, for a model to read.

    Args:
        runner: The sandbox.
        files: Of the whole tree, by path.
        command: Runs pytest; paths and the report's name are added. Tests that hang are ended one by one,
            and lines noted, where it has `-m pytest`: only so is the folder of the run on Python's path.
        paths: Where the tests are.
        timeout_s: Longest run, in seconds.
        changed: Lines of which is to be known whether they ran; it makes Python code about twice as slow.
        secret: Of which is to be known what tests say it when they fail.
        beside: Files of each repository that the tests need, the most important first.

    Raises:
        ConfigError: They need some, and the command has no `-m pytest`.
        ZoranError: There is no sandbox, or it could run nothing.
    """
    changed, names = changed or {}, unknown_names(5 + len(beside), (*files, *command))
    canary = Canary(*names[:3])
    more, folders = await asyncio.to_thread(laid, beside, files, names[5:])
    watch = Watch(names[3], timeout_s * _TEST_SHARE, tuple(sorted(changed)), folders)
    report = f"{names[4]}.xml"
    watched = _watched(command, watch)
    ran = await runner.run(
        {**files, **more, canary.path: canary.text, watch.path: watch.text},
        (*command, *watched, f"--junitxml={report}", *paths, canary.path),
        timeout_s=timeout_s,
    )
    said = (ran.stdout + b"\n" + ran.stderr)[-4 * MOST_SHOWN_CHARS :].decode(errors="replace")
    run = _judged(ran, canary, report, secret)
    if watch.report in ran.files_out:
        run = replace(run, coverage=covered(changed, ran.files_out[watch.report]))
    for name in names:
        said = said.replace(name, "…")
    return run, said[-MOST_SHOWN_CHARS:]


def _watched(command: Sequence[str], watch: Watch) -> tuple[str, ...]:
    """Words that have a run watched. Raises: ConfigError: It has to be, and cannot."""
    if ("-m", "pytest") in pairwise(command):
        passed_over = (f"--ignore={folder}" for folder in watch.folders)
        return (*passed_over, "-p", watch.name)
    if watch.folders:
        raise ConfigError(
            "These tests need another repository of the task, which Python only finds where they are run by"
            " `python -m pytest`. Let the policy's command for tests begin so."
        )
    return ()


def _judged(ran: Ran, canary: Canary, report: str, secret: str | None) -> Run:
    if ran.timed_out:
        return Run({}, fault="the tests did not end in time.")
    if report not in ran.files_out:
        return Run({}, fault=f"there is no report of the tests (exit status {ran.exit_status}).")
    try:
        outcomes, honest = canary.taken_out(read_junit(ran.files_out[report]))
        saying = failed_saying(ran.files_out[report], secret) if secret else frozenset[str]()
    except JUnitError as error:
        return Run({}, fault=str(error))
    return Run(outcomes, honest and ran.exit_status == _FAILED, saying=saying)
