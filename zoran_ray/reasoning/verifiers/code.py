"""Runs unit tests on code in an answer, in a sandbox. Knows no sandbox: whoever has one brings it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from zoran_ray.reasoning.verifier import Verdict
from zoran_ray.reasoning.verifiers.schema import unfenced

MOST_CODE = 64 * 1024
"""Longest code in an answer, in characters."""
_SHOWN = 1_500


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended.

    Attributes:
        exit_status: 0 for success; None where it was ended.
        output: What it wrote, cut by the sandbox to a length it may choose.
    """

    exit_status: int | None
    output: str = field(default="", repr=False)


class CodeRunner(Protocol):
    """A sandbox: no network, bounded time, memory, processes and output."""

    async def __call__(self, files: Mapping[str, str], command: Sequence[str], *, seconds: float) -> Ran:
        """Runs one command.

        Args:
            files: Contents by relative path, in a folder made for this run.
            command: What is run in that folder.
            seconds: Longest that it may run. A cancellation ends it at once.

        Raises:
            ZoranError: It could not be run at all.
        """
        ...


@dataclass(frozen=True, slots=True)
class UnitTests:
    """The code in the answer passes tests.

    Attributes:
        runner: The sandbox.
        tests: A Python module of unit tests that imports `solution`.
        seconds: Longest that they may run.
        tell: Whether the end of what a failed run wrote may be told. Tests show what they expect: only
            where the model may know them.
        name: In traces.
    """

    runner: CodeRunner = field(repr=False)
    tests: str = field(repr=False)
    seconds: float = 10.0
    tell: bool = False
    name: str = "unit-tests"

    async def __call__(self, answer: str) -> Verdict:
        """Judges an answer. Raises: ZoranError: The sandbox could not run it."""
        code = unfenced(answer)
        if not code or len(code) > MOST_CODE:
            return Verdict(False, f"There must be code in the answer, of at most {MOST_CODE} characters.")
        files = {"solution.py": code, "test_solution.py": self.tests}
        command = ("python", "-m", "unittest", "-q", "test_solution")
        ran = await self.runner(files, command, seconds=self.seconds)
        if ran.exit_status == 0:
            return Verdict(True, score=1.0)
        what = "The tests did not end in time." if ran.exit_status is None else "Tests failed."
        return Verdict(False, f"{what}\n{ran.output[-_SHOWN:]}" if self.tell else what)
