"""Runs unit tests on code in an answer, in a sandbox. Knows no sandbox: whoever has one brings it."""

from dataclasses import dataclass, field

from zoran_ray.reasoning.verifier import Verdict
from zoran_ray.reasoning.verifiers.schema import unfenced
from zoran_ray.tools.code_runner import CodeRunner

MOST_CODE = 64 * 1024
"""Longest code in an answer, in characters."""
_SHOWN = 1_500


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
        files = {"solution.py": code.encode(errors="replace"), "test_solution.py": self.tests.encode()}
        argv = ("python", "-m", "unittest", "-q", "test_solution")
        ran = await self.runner.run(files, argv, timeout_s=self.seconds)
        if ran.exit_status == 0 and not ran.timed_out:
            return Verdict(True, score=1.0)
        what = "The tests did not end in time." if ran.timed_out else "Tests failed."
        said = (ran.stdout + ran.stderr)[-4 * _SHOWN :].decode(errors="replace")
        return Verdict(False, f"{what}\n{said[-_SHOWN:]}" if self.tell else what)
