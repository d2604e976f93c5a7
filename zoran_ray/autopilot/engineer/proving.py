"""Runs the base's tests on the base and on a change, in a sandbox. Knows no model."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from zoran_ray.autopilot.engineer.values import Attempt, AttemptOutcome
from zoran_ray.autopilot.git import Tree
from zoran_ray.autopilot.testing import (
    Evidence,
    Harness,
    Lines,
    Outcome,
    Run,
    changed_lines,
    compare,
    controlled,
    negative_control,
    run_tests,
)
from zoran_ray.errors import SandboxUnavailable
from zoran_ray.policy import PolicyEngine
from zoran_ray.tools.code_runner import CodeRunner

TEST_COMMAND = "test"
"""The command of the policy that runs the tests; it has to be pytest."""
_PYTEST = ("-o", "junit_family=xunit2", "--continue-on-collection-errors")
_MUST_FAIL = ("--runxfail", "--maxfail=0", "--tb=line")
"""For a run in which every test fails: nothing hides that, ends it early or tells it at length."""
_GRACE_S = 60.0
"""How much longer than its limit a run may take that has to be copied in and out."""
_MEASURED_SHARE = 1 / 8
"""Lines are noted in a run whose like took no more of its limit: noting them may double its time."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """How the base's tests end on the base itself.

    Attributes:
        run: Their outcomes.
        said: The end of what they wrote.
    """

    run: Run
    said: str = field(repr=False)

    @property
    def fault(self) -> str:
        """Why no change can be proven against it; empty if one can."""
        if self.run.fault is not None or not self.run.honest:
            return self.run.fault or "the tests of the base do not run as tests must."
        if any(outcome in (Outcome.FAILED, Outcome.ERROR) for outcome in self.run.outcomes.values()):
            return ""
        return "no test fails on the base, so none can show that something is mended."


class Proof:
    """Shows whether changes mend something.

    Args:
        runner: The sandbox.
        engine: The policy: names the command and bounds its time.
        harness: Which files judge.
    """

    def __init__(self, runner: CodeRunner, engine: PolicyEngine, harness: Harness) -> None:
        self._runner = runner
        self._engine = engine
        self._harness = harness

    async def baseline(self, tree: Tree) -> Baseline:
        """Runs the tests on the base. Raises: As `_run`."""
        return Baseline(*await self._run(tree.files))

    async def proven(self, attempt: Attempt, before: Baseline, base: Tree, changed: Tree) -> Attempt:
        """The try with what its tests show; one that fails is not run again. Raises: As `_run`."""
        change = {path: changed.files.get(path) for path in attempt.changed}
        files = self._harness.judged(base.files, change)
        began = time.monotonic()
        after, said = await self._run(files)
        took_s = time.monotonic() - began
        evidence = compare(before.run, after, after)
        if evidence.holds:
            lines = await asyncio.to_thread(changed_lines, base.files, files)
            again, said = await self._run(files, lines, took_s)
            evidence = compare(before.run, after, again)
            if evidence.holds:
                evidence = await self._controlled(evidence, again, files)
        return _judged(attempt, evidence, said)

    async def _controlled(self, evidence: Evidence, again: Run, files: Mapping[str, bytes]) -> Evidence:
        """Evidence that holds, held against a run in which no test can pass. Raises: As `_run`."""
        passed = [test for test, outcome in again.outcomes.items() if outcome is Outcome.PASSED]
        control = await asyncio.to_thread(negative_control, files, self._harness.holds, passed)
        run, _ = await self._run(control.files, secret=control.secret)
        return controlled(evidence, passed, control, run)

    async def _run(
        self,
        files: Mapping[str, bytes],
        lines: Lines | None = None,
        took_s: float = 0.0,
        secret: str | None = None,
    ) -> tuple[Run, str]:
        """Outcomes, and what was written, without secrets.

        Args:
            lines: Those that are noted if they run.
            took_s: How long the same tests took before, in seconds.
            secret: What every test says, all of which fail.

        Raises:
            PermissionDenied: The policy names no command for tests.
            ZoranError: There is no sandbox, or it could run nothing.
        """
        call = self._engine.decide_command(TEST_COMMAND, {})
        call.decision.require()
        if took_s > call.timeout_s * _MEASURED_SHARE:
            lines = None
        try:
            async with asyncio.timeout(call.timeout_s + _GRACE_S):
                run, said = await run_tests(
                    self._runner,
                    files,
                    command=(*call.argv, *_PYTEST, *(_MUST_FAIL if secret else ())),
                    timeout_s=call.timeout_s,
                    changed=lines,
                    secret=secret,
                )
        except TimeoutError:
            raise SandboxUnavailable(
                "The sandbox did not end a run of tests in its time. See whether its daemon answers."
            ) from None
        return run, self._engine.redact(said)


def _judged(attempt: Attempt, evidence: Evidence, said: str) -> Attempt:
    if evidence.holds:
        return replace(attempt, outcome=AttemptOutcome.PROVEN, evidence=evidence)
    failed = AttemptOutcome.FAILED
    return replace(attempt, outcome=failed, evidence=evidence, reasons=evidence.reasons, said=said)
