"""Tests that must fail: every kind that is rewritten, what is left alone, and what their run shows."""

import ast
import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.autopilot.here import Here
from zoran_ray.autopilot.testing import (
    Control,
    Evidence,
    Harness,
    Outcome,
    Run,
    apart,
    changed_lines,
    controlled,
    negative_control,
    run_tests,
)
from zoran_ray.autopilot.testing.parser import must_fail

KINDS = b'''"""Every kind of test. PYTEST"""
from __future__ import annotations

import unittest

import pytest

from tests.shared import Shared

if True:
    def test_in_a_block(): assert True


def test_returns_early(tmp_path):
    """What it says."""
    tmp_path = 1
    if tmp_path:
        return
    raise ValueError


def test_only_says():
    """Nothing else."""


@pytest.mark.parametrize("n", [1, 2], ids=["one", "a[b]::c"])
@pytest.mark.usefixtures("tmp_path")
def test_of_many(n):
    assert n


@pytest.mark.xfail(reason="not yet")
def test_better_than_said():
    pass


def test_may_skip():
    pytest.skip("not here")


def test_catches_itself():
    def test_only_says():
        return 1
    try:
        assert test_only_says() == 1
    except BaseException:
        pytest.fail("it was rewritten")


def made():
    def test_made():
        pass
    return test_made


test_made = made()
test_unknown = lambda: None


@pytest.fixture
def test_client():
    yield 7


def test_fixture(test_client):
    assert test_client == 7


class TestShared(Shared):
    def test_own(self):
        self.seen = 1


class TestOld(unittest.TestCase):
    def test_old(self):
        with self.subTest(n=1):
            self.assertTrue(True)


class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def test_async(self):
        import asyncio
        await asyncio.sleep(0)
'''
SHARED = b"def made():\n    return 1\n\n\nclass Shared:\n    def test_inherited(self):\n        made()\n"
TREE = {
    "tests/__init__.py": b"",
    "tests/test_kinds.py": KINDS,
    "tests/shared.py": SHARED,
    "calc.py": b"def test_of_many():\n    pass\n",
}
UNJUDGED = {"tests.test_kinds::test_unknown"}


def run_of(folder: Path, control: Control | None = None) -> Run:
    """Of the tree, or of its control."""
    files, secret = (control.files, control.secret) if control else (TREE, None)
    command = (
        "python",
        "-m",
        "pytest",
        "-q",
        "-o",
        "junit_family=xunit2",
        *(["--runxfail", "--tb=line"] * bool(control)),
    )
    return asyncio.run(run_tests(Here(folder), files, command=command, timeout_s=30, secret=secret))[0]


def test_every_kind_of_test_fails_at_its_end_and_says_so(tmp_path: Path) -> None:
    run = run_of(tmp_path / "as_it_is")
    passed = {test for test, outcome in run.outcomes.items() if outcome is Outcome.PASSED}
    assert len(passed) == 14
    control = negative_control(TREE, Harness().holds, passed)
    failed = run_of(tmp_path / "control", control)
    assert failed.honest
    assert set(failed.outcomes) == set(run.outcomes)
    assert failed.saying == passed - UNJUDGED
    assert failed.outcomes["tests.test_kinds::test_may_skip"] is Outcome.SKIPPED
    assert {test for test in passed if not control.judges(test)} == UNJUDGED
    assert control.files["calc.py"] == TREE["calc.py"]  # of the change, not of the tests
    fixed = Evidence(fixed=("tests.test_kinds::test_own",))
    assert controlled(fixed, passed, control, failed).holds
    rests = controlled(Evidence(fixed=tuple(UNJUDGED)), passed, control, failed)
    assert rests.reasons == (
        "1 mended tests are none that can be made to fail, which would show that they run: "
        "tests.test_kinds::test_unknown",
    )


TESTS = ("t::a", "t::b", "t::C.c[1]")
CONTROL = Control({}, "secret", frozenset("abc"))


@pytest.mark.parametrize(
    "outcomes",
    [
        {"t::a": Outcome.PASSED},
        {"t::a": Outcome.FAILED},
        {"t::a": Outcome.SKIPPED},
        {},
    ],
)
def test_what_stops_some_tests_from_running_is_seen(outcomes: dict[str, Outcome]) -> None:
    run = Run({**outcomes, "t::b": Outcome.FAILED}, saying=frozenset({"t::b"}))
    evidence = controlled(Evidence(fixed=("t::b",)), ["t::a", "t::b"], CONTROL, run)
    assert evidence.reasons == ("1 tests passed that cannot pass, or did not run to their end: t::a",)


def test_a_control_that_is_no_evidence_proves_nothing() -> None:
    fixed = Evidence(fixed=("t::b",))
    for run in (Run({}, honest=False, saying=frozenset(TESTS)), Run({}, fault="no report.")):
        assert not controlled(fixed, TESTS, CONTROL, run).holds
    assert controlled(fixed, ["t::a", "t::b"], CONTROL, Run({}, saying=frozenset(TESTS))) == fixed


@pytest.mark.parametrize("source", [b"def test_a(:\n", b"\xff\xfe\x00", b"x = 1\n", b"(" * 10_000, b""])
def test_what_cannot_be_rewritten_is_left_as_it_is(source: bytes) -> None:
    control = negative_control({"test_a.py": source}, Harness().holds, ["test_a::test_a"])
    assert control.files == {"test_a.py": source}
    assert not control.judges("test_a::test_a")


BODIES = [
    "pass",
    "return",
    "return 1",
    "if x:\n  return 2",
    "x = 3",
    "for _ in 'ab':\n  continue",
    "'text'",
]
ENDS = ["", "raise KeyError", "try:\n  raise KeyError\n except KeyError:\n  pass", "while True:\n  break"]


@given(
    body=st.lists(st.sampled_from(BODIES), min_size=1, max_size=4),
    end=st.sampled_from(ENDS),
    how=st.booleans(),
)
def test_whatever_a_test_does_it_ends_badly_and_as_itself_if_it_does(
    body: list[str], end: str, how: bool
) -> None:
    source = f"{'async ' * how}def test_a(x=0):\n " + "\n ".join([*body, end]) + "\n"
    ast.parse(source)
    found = must_fail(source.encode(), ["test_a"], ("12ab", "34cd"), True)
    assert found is not None
    rewritten, names = found
    assert names == ["test_a"]
    known: dict[str, object] = {}

    def ended(text: bytes) -> str:
        exec(compile(text, "test_a.py", "exec"), known)
        try:
            said = known["test_a"]()  # type: ignore[operator]
            if how:
                asyncio.run(said)
        except Exception as error:
            return repr(error)
        return ""

    assert ended(rewritten) == (ended(source.encode()) or "AssertionError('12ab34cd')")
    assert b"12ab34cd" not in rewritten


@pytest.mark.parametrize(
    "program", ["import os; os.kill(os.getpid(), 11)", "raise MemoryError", "while True: pass"]
)
def test_a_text_that_ends_the_parser_ends_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    (tmp_path / "parser.py").write_text(program)
    monkeypatch.setattr(apart, "_PARSER", tmp_path / "parser.py")
    monkeypatch.setattr(apart, "LONGEST_S", 0.5)
    files = {"test_a.py": b"def test_a(): pass\n"}
    control = negative_control(files, Harness().holds, ["test_a::test_a"])
    assert control.files == files
    fixed = Evidence(fixed=("test_a::test_a",))
    assert not controlled(fixed, ["test_a::test_a"], control, Run({})).holds
    assert changed_lines({}, {"a.py": b"# no instruction\n"}) == {"a.py": {1}}
