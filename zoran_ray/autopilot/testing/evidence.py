"""Whether tests show that a change mends something and breaks nothing. An exit status shows nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from zoran_ray.autopilot.testing.control import Control
from zoran_ray.autopilot.testing.junit import Outcome

Outcomes = Mapping[str, Outcome]
_GOOD = frozenset({Outcome.PASSED})
BAD = frozenset({Outcome.FAILED, Outcome.ERROR})


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the tests.

    Attributes:
        outcomes: By test id, without the canary's.
        honest: Whether the canary's tests ended as they must.
        fault: Why the run is no evidence at all (no report, out of time), else None.
        coverage: Share of the changed lines that ran, 0..1; None where nobody measured, or nothing is there
            to run.
        saying: Tests that failed and said what they had to say to be believed.
    """

    outcomes: Outcomes
    honest: bool = True
    fault: str | None = None
    coverage: float | None = None
    saying: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What runs before and after a change show.

    Attributes:
        fixed: Tests that failed on the base and pass now, both times.
        worse: Tests that passed on the base and do not now.
        missing: Tests of the base that did not run now.
        flaky: Tests that ended differently in two runs of the same code.
        still_failing: Tests that failed on the base and still do.
        reasons: Why this is no evidence of a fix, for people and for the model; empty if it is.
        coverage: Share of the changed lines that ran when it was run again, as `Run.coverage`. It shows
            nothing: the change itself could have said it.
    """

    fixed: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    still_failing: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    coverage: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the change mends something, breaks nothing, and that twice."""
        return not self.reasons


def compare(before: Run, after: Run, again: Run, without: Run | None = None) -> Evidence:
    """What a change shows.

    Args:
        before: The base's code under the base's tests.
        after: The changed code under the base's tests.
        again: The same once more.
        without: The base's code without what the task changes in other repositories; None where it changes
            none. What passed there and not on the base was broken by that, and is to be mended.
    """
    runs = {"the base": before, "the change": after, "the change, run again": again}
    if reasons := [reason for name, run in runs.items() for reason in _unfit(name, run)]:
        return Evidence(reasons=tuple(reasons))
    kept, gone = broken(without, before) if without else (frozenset[str](), frozenset[str]())
    ids = sorted({*before.outcomes, *kept})
    there = [name for name in ids if name in after.outcomes and name in again.outcomes]
    missing = [name for name in ids if name not in there and name not in gone]
    flaky = [name for name in there if after.outcomes[name] != again.outcomes[name]]
    failed = [name for name in there if before.outcomes.get(name) in BAD or name in kept]
    passed = [name for name in there if before.outcomes.get(name) is Outcome.PASSED or name in kept]
    good = {name for name in there if {after.outcomes[name], again.outcomes[name]} == _GOOD}
    fixed = [name for name in failed if name in good]
    worse = [name for name in passed if name not in good]
    new_faults = _new_faults(before, after)
    return Evidence(
        tuple(fixed), tuple(worse), tuple(missing), tuple(flaky),
        tuple(name for name in failed if name not in good),
        tuple(_reasons(fixed, worse, missing, flaky, new_faults)), again.coverage,
    )  # fmt: skip


def controlled(evidence: Evidence, passed: Iterable[str], control: Control, run: Run) -> Evidence:
    """Evidence that holds, held against a run in which no test can pass.

    Args:
        passed: Tests that passed in the run before.
        control: The tests that cannot pass.
        run: Of these.
    """
    if reasons := _unfit("the control, whose tests must fail,", run):
        return replace(evidence, reasons=tuple(reasons))
    faked = [name for name in sorted(passed) if control.judges(name) and name not in run.saying]
    unjudged = [name for name in evidence.fixed if not control.judges(name)]
    reasons = [
        f"{len(names)} {what}: {_named(names)}"
        for names, what in (
            (faked, "tests passed that cannot pass, or did not run to their end"),
            (unjudged, "mended tests are none that can be made to fail, which would show that they run"),
        )
        if names
    ]
    return replace(evidence, reasons=tuple(reasons))


def _unfit(name: str, run: Run) -> list[str]:
    if run.fault is not None:
        return [f"No evidence from {name}: {run.fault}"]
    if not run.honest:
        return [f"The tests of {name} do not run as tests must: a test that has to fail did not fail."]
    return []


def broken(without: Run, now: Run) -> tuple[frozenset[str], frozenset[str]]:
    """What a change elsewhere broke: tests that do not pass any more, and files that nobody can import.

    Args:
        without: The run without it. One that is no evidence shows nothing.
        now: The run with it.
    """
    if _unfit("", without):
        return frozenset(), frozenset()
    passed = (name for name, outcome in without.outcomes.items() if outcome is Outcome.PASSED)
    tests = frozenset(name for name in passed if now.outcomes.get(name) is not Outcome.PASSED)
    # What pytest could not import has no class or file before its name.
    files = frozenset(name for name in now.outcomes if name.startswith("::")) - without.outcomes.keys()
    return tests, files


def _new_faults(before: Run, after: Run) -> list[str]:
    """What ends badly now and was not there before, such as a file that cannot be imported any more."""
    return sorted(
        name for name, outcome in after.outcomes.items() if outcome in BAD and name not in before.outcomes
    )


def _reasons(
    fixed: list[str], worse: list[str], missing: list[str], flaky: list[str], new_faults: list[str]
) -> list[str]:
    reasons = [
        f"{len(names)} {what}: {_named(names)}"
        for names, what in (
            (worse, "tests passed before and do not now"),
            (missing, "tests of the base did not run"),
            (flaky, "tests ended differently in two runs"),
            (new_faults, "faults are new"),
        )
        if names
    ]
    if not fixed:
        reasons.append("No test that failed before passes now.")
    return reasons


def _named(names: list[str]) -> str:
    return ", ".join(name[:120] for name in names[:5]) + (", …" if len(names) > 5 else "")
