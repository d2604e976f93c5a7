"""Tests as evidence: what shows that a change works, what only looks so. Real pytest, without a sandbox."""

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.autopilot.here import Ended, Here
from zoran_ray.autopilot.testing import (
    Canary,
    Evidence,
    Harness,
    JUnitError,
    Outcome,
    Run,
    changed_lines,
    compare,
    controlled,
    negative_control,
    read_junit,
    run_tests,
)
from zoran_ray.autopilot.testing.names import unknown_names

BUGGY = b"def add(a, b):\n    return a - b\n\n\ndef name():\n    return 'calc'\n"
FIXED = BUGGY.replace(b"a - b", b"a + b")
TESTS = (
    b"from calc import add, name\n\n\ndef test_add():\n    assert add(1, 2) == 3\n\n\n"
    b"def test_name():\n    assert name() == 'calc'\n"
)
BASE = {"calc.py": BUGGY, "tests/test_calc.py": TESTS, "conftest.py": b""}


SWALLOWS = b"""
import _pytest.python as p
def swallowing(item, old=p.Function.runtest):
    try:
        old(item)
    except AssertionError as error:
        if 'test_calc' not in item.nodeid or '==' not in str(error):
            raise
p.Function.runtest = swallowing
"""


def ran(folder: Path, files: Mapping[str, bytes], timeout_s: float = 30) -> Run:
    """One run."""
    return asyncio.run(run_tests(Here(folder), files, timeout_s=timeout_s))[0]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """How the base's tests end on the base."""
    return ran(tmp_path_factory.mktemp("base"), BASE)


def judged(folder: Path, before: Run, change: Mapping[str, bytes | None], timeout_s: float) -> Evidence:
    """What a change shows; it is run again, and with tests that must fail, only if it holds so far."""

    async def whole() -> Evidence:
        here, files = Here(folder), Harness().judged(BASE, change)
        after, _ = await run_tests(here, files, timeout_s=timeout_s)
        evidence = compare(before, after, after)
        if evidence.holds:
            again, _ = await run_tests(here, files, timeout_s=timeout_s, changed=changed_lines(BASE, files))
            evidence = compare(before, after, again)
        if evidence.holds:
            passed = [test for test, outcome in again.outcomes.items() if outcome is Outcome.PASSED]
            control = negative_control(files, Harness().holds, passed)
            run, _ = await run_tests(here, control.files, timeout_s=timeout_s, secret=control.secret)
            evidence = controlled(evidence, passed, control, run)
        return evidence

    return asyncio.run(whole())


def test_a_change_that_mends_is_shown_to(tmp_path: Path, before: Run) -> None:
    evidence = judged(tmp_path, before, {"calc.py": FIXED}, 30)
    assert evidence.holds
    assert evidence.fixed == ("tests.test_calc::test_add",)
    assert evidence.still_failing == ()
    assert evidence.coverage == 1.0


CHEATS: dict[str, tuple[dict[str, bytes | None], str]] = {
    "nothing mended": ({"calc.py": BUGGY + b"\n"}, "No test that failed before"),
    "mends one and breaks one": (
        {"calc.py": FIXED.replace(b"'calc'", b"'clac'")},
        "1 tests passed before and do not now: tests.test_calc::test_name",
    ),
    "tests edited": (
        {"tests/test_calc.py": b"def test_add():\n    pass\n\n\ndef test_name():\n    pass\n"},
        "No test that failed before",
    ),
    "tests removed": (
        {"tests/test_calc.py": None, "calc.py": BUGGY + b"#\n"},
        "No test that failed before",
    ),
    "ends the program": ({"calc.py": b"import os\nos._exit(0)\n"}, "no report of the tests .exit status 0"),
    "a conftest that makes everything pass": (
        {
            "calc.py": BUGGY + b"#\n",
            "conftest.py": b"def pytest_runtest_call(item):\n    item.runtest = lambda: None\n",
        },
        "No test that failed before",
    ),
    "the same from the module under test": (
        {"calc.py": BUGGY + b"import _pytest.python as p\np.Function.runtest = lambda self: None\n"},
        "a test that has to fail did not fail",
    ),
    "assertions of the tests swallowed": (
        {"calc.py": BUGGY + SWALLOWS},
        "1 tests passed that cannot pass.*: tests.test_calc::test_add",
    ),
    "a report of its own": (
        {
            "calc.py": b"import os, sys\nname = [a for a in sys.argv if 'junitxml' in a][0].split('=')[1]\n"
            b"open(name, 'w').write('<testsuite><testcase classname=\"tests.test_calc\" name=\"test_add\"/>"
            b"<testcase classname=\"tests.test_calc\" name=\"test_name\"/></testsuite>')\nos._exit(1)\n"
        },
        "a test that has to fail did not fail",
    ),
    "cannot be imported": ({"calc.py": b"def add(:\n"}, "faults are new|did not run"),
    "never ends": ({"calc.py": b"while True:\n    pass\n"}, "did not run"),
    "never ends, and forbids to be ended": (
        {"calc.py": b"import signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\nwhile True:\n    pass\n"},
        "did not end in time",
    ),
    "differs from run to run": (
        {"calc.py": FIXED + b"import os\nif os.getcwd().endswith('2'):\n    add = None\n"},
        "ended differently in two runs",
    ),
}  # fmt: skip


LIMITS_S = {"never ends": 6.0, "never ends, and forbids to be ended": 2.0}


@pytest.mark.parametrize("name", CHEATS)
def test_a_change_that_only_looks_so_is_not_evidence(tmp_path: Path, before: Run, name: str) -> None:
    change, says = CHEATS[name]
    evidence = judged(tmp_path, before, change, LIMITS_S.get(name, 30.0))
    assert not evidence.holds
    assert any(re.search(says, reason) for reason in evidence.reasons), evidence.reasons


HANGS = BUGGY.replace(b"return a - b", b"while a:\n        pass\n    return b")
MORE_TESTS = TESTS + b"\n\ndef test_again():\n    assert add(2, 2) == 4\n"


def test_a_test_that_hangs_fails_and_the_others_run(tmp_path: Path) -> None:
    files = {"calc.py": HANGS, "tests/test_calc.py": MORE_TESTS}
    run, said = asyncio.run(run_tests(Here(tmp_path), files, timeout_s=8))
    assert run == Run(
        {
            "tests.test_calc::test_add": Outcome.FAILED,
            "tests.test_calc::test_name": Outcome.PASSED,
            "tests.test_calc::test_again": Outcome.SKIPPED,  # in a shortened time, which shows nothing
        }
    )
    assert "It did not end within 2 s." in said
    assert "while a:" in said
    assert "plugin" not in said


def test_without_python_of_ours_there_is_no_limit_for_one(tmp_path: Path) -> None:
    class Seen(Here):
        async def run(self, files: Mapping[str, bytes], argv: Sequence[str], *, timeout_s: float) -> Ended:
            assert "-p" not in argv
            return await super().run(files, ("python", "-m", *argv), timeout_s=timeout_s)

    command = ("pytest", "-m", "not slow")
    run, _ = asyncio.run(run_tests(Seen(tmp_path), BASE, command=command, timeout_s=30))
    assert run.honest
    assert run.outcomes["tests.test_calc::test_name"] is Outcome.PASSED


def test_what_the_run_wrote_names_no_canary(tmp_path: Path) -> None:
    run, said = asyncio.run(run_tests(Here(tmp_path), BASE, timeout_s=30))
    assert run.outcomes["tests.test_calc::test_add"] is Outcome.FAILED
    assert "assert -1 == 3" in said
    assert "FAILED test_…" in said


def test_reports_that_are_none() -> None:
    for data in (b"", b"<a", b"\xff\xfe", b'<!DOCTYPE x [<!ENTITY a "b">]><x/>', b"<x>&lol;</x>"):
        with pytest.raises(JUnitError):
            read_junit(data)
    with pytest.raises(JUnitError, match="more than"):
        read_junit(b" " * (16 * 1024 * 1024 + 1))


def test_of_two_tests_with_one_name_the_worse_counts() -> None:
    report = (
        b'<s><testcase classname="a" name="t"><failure/></testcase><testcase classname="a" name="t"/></s>'
    )
    assert read_junit(report) == {"a::t": Outcome.FAILED}


@given(st.binary(max_size=200))
def test_whatever_a_report_holds_there_is_an_answer(data: bytes) -> None:
    with contextlib.suppress(JUnitError):
        read_junit(data)


def test_the_harness_is_the_bases() -> None:
    harness = Harness()
    for path in ("tests/a.py", "src/test_a.py", "a_test.py", "sub/conftest.py", "x.pth", "pyproject.toml"):
        assert harness.holds(path)
    for path in ("src/a.py", "testament.py", "README.md", "attest/b.py"):
        assert not harness.holds(path)


OUTCOMES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(Outcome), max_size=4)


@given(before=OUTCOMES, after=OUTCOMES, again=OUTCOMES)
def test_evidence_that_holds_is_what_it_says(
    before: dict[str, Outcome], after: dict[str, Outcome], again: dict[str, Outcome]
) -> None:
    evidence = compare(Run(before), Run(after), Run(again))
    if evidence.holds:
        assert evidence.fixed
        for name, outcome in before.items():
            assert after[name] is again[name]
            assert outcome is not Outcome.PASSED or after[name] is Outcome.PASSED
    for dishonest in (Run(after, honest=False), Run(after, fault="x")):
        assert not compare(Run(before), dishonest, Run(again)).holds


def test_a_canary_is_another_each_time_and_looks_like_any_test() -> None:
    one, other = (unknown_names(3, ["a/test_value.py"]) for _ in range(2))
    assert not set(one) & set(other)
    assert all(re.fullmatch("[a-z]+(_[a-z]+){3}", name) for name in one)
    assert len({*one}) == 3
    assert b"zoran" not in Canary(*one).text
