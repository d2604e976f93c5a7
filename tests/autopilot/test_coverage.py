"""Which lines of a change tests ran: what there is to run, what a run says, what a false word can say."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.autopilot.here import Here
from zoran_ray.autopilot.testing import Lines, Run, changed_lines, compare, covered, run_tests

CODE = '''"""What it is."""

import contextlib


class Sum:
    """Of two."""

    def __init__(self, a, b):
        """A text."""
        self.a = a
        self.b = (
            b
        )

    @property
    def value(self):
        global last  # makes no instruction
        last = 0
        for each in [one
                     for one in (self.a, self.b)]:
            if each == 0:
                continue
            last += each
        try:
            with contextlib.suppress(ValueError):
                raise ValueError
        except KeyError:
            return -1
        else:
            pass
        finally:
            last += 0
        return last


def never():
    return 1
'''
TEST = b"import pkg.a\n\n\ndef test_sum():\n    assert pkg.a.Sum(0, 2).value == 2\n"


def measured(folder: Path, before: bytes, after: bytes, test: bytes = TEST) -> float | None:
    """The share of a change to one file, by a real run."""
    changed = changed_lines({"pkg/a.py": before}, {"pkg/a.py": after})
    files = {"pkg/a.py": after, "tests/test_a.py": test}
    run, _ = asyncio.run(run_tests(Here(folder), files, timeout_s=30, changed=changed))
    return run.coverage


def lines_of(text: str, *passages: str) -> frozenset[int]:
    """Numbers of the lines that hold one of these."""
    numbered = enumerate(text.split("\n"), 1)
    return frozenset(number for number, line in numbered if any(each in line for each in passages))


def test_every_line_but_those_that_no_test_runs(tmp_path: Path) -> None:
    wanted = changed_lines({}, {"pkg/a.py": CODE.encode()})["pkg/a.py"]
    assert wanted.isdisjoint(lines_of(CODE, "A text", "global", "else:"))
    unseen = lines_of(CODE, "except KeyError", "return -1", "return 1")
    assert unseen < wanted
    share = measured(tmp_path, b"", CODE.encode())
    assert share == pytest.approx(1 - len(unseen) / len(wanted))


def test_only_lines_that_changed_count(tmp_path: Path) -> None:
    later = CODE.replace("return 1", "return 2").replace("last += 0", "last += 0 * 1")
    changed = changed_lines({"pkg/a.py": CODE.encode()}, {"pkg/a.py": later.encode()})
    assert changed == {"pkg/a.py": lines_of(later, "return 2", "last += 0 * 1")}
    assert measured(tmp_path, CODE.encode(), later.encode()) == 0.5


def test_lines_run_in_a_thread_and_at_the_first_import(tmp_path: Path) -> None:
    test = (
        b"from threading import Thread\nimport pkg.a\n\n\ndef test_a():\n    t = Thread(target=pkg.a.f)\n"
    )
    code = b"import os\n\n\ndef f():\n    os.chdir('/')\n    return 1\n"
    assert measured(tmp_path, b"", code, test + b"    t.start()\n    t.join()\n") == 1.0


def test_nothing_to_run_is_no_share() -> None:
    code = CODE.encode()
    assert changed_lines({"a.py": code}, {"a.py": code + b"# more\n", "b.md": b"x"}) == {}
    assert covered({}, b"0 1\n") is None


def test_what_is_no_program_cannot_be_shown_to_run() -> None:
    for text in (
        b"def (",
        b"x = '\x00'",
        b"# coding: none\nx",
        b"(" * 9_000,
        b"-" * 90_000 + b"1",
        b"\xff",
    ):
        assert changed_lines({}, {"a.py": text}) == {"a.py": frozenset(range(1, text.count(b"\n") + 2))}
    deep = b"x = " + b"1+" * 90_000 + b"1\n"
    assert changed_lines({}, {"a.py": deep}) == {"a.py": {1}}
    assert len(changed_lines({}, {"a.py": b"x\n" * 600_000})["a.py"]) == 600_000


def test_changes_far_apart_are_two() -> None:
    old = [b"x%d = 1\n" % number for number in range(3_000)]
    new = [*old[:10], b"y = 1\n", *old[11:2_000], b"z = 1\n", *old[2_000:]]
    assert changed_lines({"a.py": b"".join(old)}, {"a.py": b"".join(new)}) == {"a.py": {11, 2_001}}


TEXT = st.lists(st.sampled_from([b"a", b"b", b"c", b"d = 1", b"e = 2"]), max_size=12)


@settings(max_examples=30)
@given(old=TEXT, new=TEXT)
def test_what_did_not_change_was_there_before_in_this_order(old: list[bytes], new: list[bytes]) -> None:
    texts = ({"a.py": b"".join(line + b"\n" for line in lines)} for lines in (old, new))
    changed = changed_lines(*texts).get("a.py", frozenset())
    left = iter(old)
    assert all(line in left for number, line in enumerate(new, 1) if number not in changed)
    assert old != new or not changed


LINES = st.dictionaries(
    st.sampled_from(["a.py", "b.py", "c/d.py"]), st.frozensets(st.integers(1, 30), min_size=1), max_size=3
)
FALSE = st.one_of(
    st.binary(max_size=300),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99)), max_size=60).map(
        lambda said: b"".join(b"%d %d\n" % each for each in said)
    ),
)


@given(changed=LINES, said=FALSE, more=FALSE)
def test_a_share_is_one_whatever_is_said(changed: Lines, said: bytes, more: bytes) -> None:
    share = covered(changed, said)
    assert (share is None) == (not changed)
    if share is not None:
        there = {
            f"{place} {n}".encode() for place, path in enumerate(sorted(changed)) for n in changed[path]
        }
        true = b"\n".join(line for line in said.split(b"\n") if line in there)
        assert 0 <= covered(changed, true) <= share <= 1  # type: ignore[operator]
        assert share <= covered(changed, said + b"\n" + more) <= 1  # type: ignore[operator]
        assert share * sum(map(len, changed.values())) <= len(set(said.split(b"\n")))


@given(share=st.none() | st.floats(0, 1))
def test_a_share_is_no_evidence(share: float | None) -> None:
    evidence = compare(Run({}), Run({}), Run({}, coverage=share))
    assert not evidence.holds
    assert evidence.coverage == share
