"""Runs the base's tests on the base and on a change, in a sandbox. Knows no model."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pathspec import GitIgnoreSpec

from zoran_ray.autopilot.engineer.values import Attempt, AttemptOutcome
from zoran_ray.autopilot.git import Tree
from zoran_ray.autopilot.testing import (
    BAD,
    SELF_LOADED,
    Dependency,
    Evidence,
    Harness,
    Lines,
    Outcome,
    Run,
    broken,
    changed_lines,
    compare,
    controlled,
    negative_control,
    require_room,
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
_SELF_LOADED = GitIgnoreSpec.from_lines(SELF_LOADED)
_MEASURED_SHARE = 1 / 8
"""Lines are noted in a run whose like took no more of its limit: noting them may double its time."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """How the base's tests end on the base itself.

    Attributes:
        run: Their outcomes.
        said: The end of what they wrote.
        without: Their outcomes without what the task changes in other repositories; None where it changes
            none that this one needs.
    """

    run: Run
    said: str = field(repr=False)
    without: Run | None = None

    @property
    def is_well(self) -> bool:
        """Whether the tests run as they must, and none fails."""
        return self.run.fault is None and self.run.honest and not self._fails

    @property
    def fault(self) -> str:
        """Why no change can be proven against it; empty if one can."""
        if self.run.fault is not None or not self.run.honest:
            return self.run.fault or "the tests of the base do not run as tests must."
        if self._fails:
            return ""
        return "no test fails on the base, so none can show that something is mended."

    @property
    def _fails(self) -> bool:
        lost = self.without and broken(self.without, self.run)[0]
        return bool(lost) or not BAD.isdisjoint(self.run.outcomes.values())


class Proof:
    """Shows whether changes mend something.

    Args:
        runner: The sandbox.
        engine: The policy: names the command and bounds its time.
        harness: Which files judge.
        beside: What the tests need of other repositories.
    """

    def __init__(
        self, runner: CodeRunner, engine: PolicyEngine, harness: Harness, beside: Sequence[Dependency] = ()
    ) -> None:
        self._runner = runner
        self._engine = engine
        self._harness = harness
        self._beside = tuple(beside)

    async def baseline(self, tree: Tree) -> Baseline:
        """Runs the tests on the base; without and with what the task changes in needed repositories.

        Where no test fails with it, tests that must fail are run at once: there will be no change here that
        they would be run with.

        Raises:
            InvalidRequest: All that the tests need is too much for the sandbox.
            ZoranError: As `_run`.
        """
        if self._beside:
            room = self._engine.policy.sandbox
            require_room((tree.files, *(each.files for each in self._beside)), room)
        if all(each.base is None for each in self._beside):
            return Baseline(*await self._run(tree.files))
        without, _ = await self._run(tree.files, beside=[each.before for each in self._beside])
        before = Baseline(*await self._run(tree.files), without)
        if before.is_well and not (await self._controlled(Evidence(), before.run, tree.files)).holds:
            return replace(before, run=replace(before.run, honest=False))
        return before

    async def proven(self, attempt: Attempt, before: Baseline, base: Tree, changed: Tree) -> Attempt:
        """The try with what its tests show; one that fails is not run again. Raises: As `_run`."""
        if seized := [path for path in attempt.changed if _SELF_LOADED.match_file(path)]:
            reason = (
                f"Python or pytest would load this by itself, so it is no part of a change: {seized[0]}"
            )
            return _judged(attempt, Evidence(reasons=(reason,)), "")
        change = {path: changed.files.get(path) for path in attempt.changed}
        files = self._harness.judged(base.files, change)
        began = time.monotonic()
        after, said = await self._run(files)
        took_s = time.monotonic() - began
        evidence = compare(before.run, after, after, before.without)
        if evidence.holds:
            lines = await asyncio.to_thread(changed_lines, base.files, files)
            again, said = await self._run(files, lines, took_s)
            evidence = compare(before.run, after, again, before.without)
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
        beside: Sequence[Dependency] | None = None,
    ) -> tuple[Run, str]:
        """Outcomes, and what was written, without secrets.

        Args:
            lines: Those that are noted if they run.
            took_s: How long the same tests took before, in seconds.
            secret: What every test says, all of which fail.
            beside: What they need, if not as the task leaves it.

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
                    beside=[each.files for each in (self._beside if beside is None else beside)],
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
