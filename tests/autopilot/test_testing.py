"""Tests as evidence: what shows that a change works, what only looks so. Real pytest, without a sandbox."""

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.autopilot.testing import (
    Canary,
    Evidence,
    Harness,
    JUnitError,
    Outcome,
    Run,
    compare,
    read_junit,
    run_tests,
)

BUGGY = b"def add(a, b):\n    return a - b\n\n\ndef name():\n    return 'calc'\n"
FIXED = BUGGY.replace(b"a - b", b"a + b")
TESTS = (
    b"from calc import add, name\n\n\ndef test_add():\n    assert add(1, 2) == 3\n\n\n"
    b"def test_name():\n    assert name() == 'calc'\n"
)
BASE = {"calc.py": BUGGY, "tests/test_calc.py": TESTS, "conftest.py": b""}


@dataclass(frozen=True)
class Ended:
    exit_status: int | None
    stdout: bytes
    stderr: bytes
    timed_out: bool
    files_out: Mapping[str, bytes]


class Here:
    """Runs programs in a folder of this machine, without a sandbox's walls: for code of these tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = 0

    async def run(self, files: Mapping[str, bytes], argv: Sequence[str], *, timeout_s: float) -> Ended:
        self._runs += 1
        work = self._folder / str(self._runs)
        for name, content in files.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_bytes(content)
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(work), "PYTHONDONTWRITEBYTECODE": "1"}
        environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        process = await asyncio.create_subprocess_exec(
            sys.executable, *argv[1:], cwd=work, env=environ,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = await asyncio.wait_for(process.communicate(), timeout_s)
        except TimeoutError:
            process.kill()
            await process.wait()
            return Ended(None, b"", b"", True, {})
        made = {path.name: path.read_bytes() for path in work.glob(".zoran-*")}
        return Ended(process.returncode, out, err, False, made)


def judged(folder: Path, change: Mapping[str, bytes | None], timeout_s: float = 30) -> Evidence:
    """The whole way of a change: three runs, compared."""

    async def three() -> Evidence:
        here, harness = Here(folder), Harness()
        files = harness.judged(BASE, change)
        before, _ = await run_tests(here, BASE, timeout_s=30)
        after, _ = await run_tests(here, files, timeout_s=timeout_s)
        again, _ = await run_tests(here, files, timeout_s=timeout_s)
        return compare(before, after, again)

    return asyncio.run(three())


def test_a_change_that_mends_is_shown_to(tmp_path: Path) -> None:
    evidence = judged(tmp_path, {"calc.py": FIXED})
    assert evidence.holds
    assert evidence.fixed == ("tests.test_calc::test_add",)
    assert evidence.still_failing == ()


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
    "a report of its own": (
        {
            "calc.py": b"import os, sys\nname = [a for a in sys.argv if 'junitxml' in a][0].split('=')[1]\n"
            b"open(name, 'w').write('<testsuite><testcase classname=\"tests.test_calc\" name=\"test_add\"/>"
            b"<testcase classname=\"tests.test_calc\" name=\"test_name\"/></testsuite>')\nos._exit(1)\n"
        },
        "a test that has to fail did not fail",
    ),
    "cannot be imported": ({"calc.py": b"def add(:\n"}, "faults are new|did not run"),
    "never ends": ({"calc.py": b"while True:\n    pass\n"}, "did not end in time"),
    "differs from run to run": (
        {"calc.py": FIXED + b"import os\nif os.getcwd().endswith('3'):\n    add = None\n"},
        "ended differently in two runs",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHEATS)
def test_a_change_that_only_looks_so_is_not_evidence(tmp_path: Path, name: str) -> None:
    change, says = CHEATS[name]
    evidence = judged(tmp_path, change, timeout_s=3 if name == "never ends" else 30)
    assert not evidence.holds
    assert any(re.search(says, reason) for reason in evidence.reasons), evidence.reasons


def test_what_the_run_wrote_names_no_canary(tmp_path: Path) -> None:
    run, said = asyncio.run(run_tests(Here(tmp_path), BASE, timeout_s=30))
    assert run.outcomes["tests.test_calc::test_add"] is Outcome.FAILED
    assert "assert -1 == 3" in said


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


def test_a_canary_is_another_each_time() -> None:
    assert Canary("ab").path != Canary("cd").path
