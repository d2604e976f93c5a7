"""The autopilot's benchmark in small: cases, canary, figures, kills, the red-team table. Without Docker."""

import ast
import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.autopilot import context, kill, quality, red_team
from benchmarks.autopilot.bugs import Bug
from benchmarks.autopilot.canary import Watch, marked
from benchmarks.autopilot.cases import RIGHT, WRONG, Case, cases
from benchmarks.autopilot.figures import brier, ranks, share, spread, summary, wilson
from benchmarks.autopilot.report import markdown
from benchmarks.autopilot.retrieval import library, modules, without_docstrings
from benchmarks.autopilot.scripted_model import BEHAVIOURS
from benchmarks.readme import README, ROOT, markers
from benchmarks.reasoning.parts import Parts
from tests.autopilot.one_bug import ROW, one_bug
from zoran_ray.autopilot.testing import Outcome


@pytest.fixture
def bug(tmp_path: Path) -> Bug:
    return one_bug(tmp_path)


def test_every_behaviour_is_tried_and_known_for_right_or_wrong(bug: Bug) -> None:
    assert sorted((*RIGHT, *WRONG)) == sorted(BEHAVIOURS)
    bugs = [Bug(f"b_{number}", "", "", "") for number in range(64)]
    whole, part = cases(bugs), cases(bugs, every=4)
    for found in (whole, part, cases([bug], every=4)):
        assert {case.behaviour for case in found} == set(BEHAVIOURS)
        assert len({case.name for case in found}) == len(found)
    for behaviour in BEHAVIOURS:
        tried = sum(case.behaviour == behaviour for case in part)
        assert tried == (8 if behaviour in ("slow", "never") else 64 if behaviour in RIGHT else 16)
    seen = {case.bug.name for case in part if case.behaviour in WRONG}
    assert len(seen) == 64  # another quarter for each behaviour


def test_a_canary_sees_an_answer_only_before_it_was_given(bug: Bug) -> None:
    mark = marked(bug, "n0nce")
    assert "n0nce" in mark.fixed
    assert all("n0nce" not in text for text in mark.files().values())
    watch = Watch("n0nce")
    watch.look("prompt", ["harmless", b"too"])
    assert watch.leaks == []
    watch.look("sandbox", [mark.fixed.encode()])
    watch.said = True
    watch.look("sandbox", [mark.fixed])
    assert (watch.leaks, watch.looked) == (["sandbox"], 3)


@given(st.integers(0, 200), st.integers(0, 200))
def test_an_interval_holds_its_share(hits: int, more: int) -> None:
    low, high = wilson(hits, hits + more)
    assert 0 <= low <= high <= 1
    if hits + more:
        assert low - 1e-9 <= hits / (hits + more) <= high + 1e-9


def test_figures() -> None:
    assert brier([]) is None
    assert brier([(1.0, True), (0.5, False)]) == pytest.approx(0.125)
    assert share(0, 0)["share"] is None
    assert spread([]) is None
    assert spread([3.0, 1.0, 2.0]) == {"p50": 2.0, "p95": 3.0, "most": 3.0}


def row(behaviour: str, may_merge: bool, merged: bool, right: bool, sure: float | None) -> dict[str, Any]:
    return {
        "behaviour": behaviour, "may_merge": may_merge, "merged": merged, "right": right, "true": right,
        "confidence": sure, "wall_s": 1.0, "ended": "merged" if merged else "failed: tries", "leaks": [],
        "looked": 2, "told": merged,
    }  # fmt: skip


def test_a_false_merge_costs_precision_and_a_missing_one_recall() -> None:
    found = summary(
        [
            row("right", True, True, True, 0.99),
            row("right", True, False, False, None),
            row("wrong", False, True, False, 0.4),
        ]
    )
    assert found["precision"]["share"] == 0.5
    assert found["recall"]["share"] == 0.5
    assert found["false_merges"]["hits"] == 1
    assert (found["judged"], found["told"]) == (2, 2)
    assert found["brier"] == pytest.approx((0.01**2 + 0.4**2) / 2)


def test_the_whole_way_of_a_right_and_of_a_wrong_model(bug: Bug, tmp_path: Path) -> None:
    tried = [Case(bug, "right"), Case(bug, "edited-tests")]
    parts = Parts(tmp_path / "parts", {})
    found = asyncio.run(quality.measure(None, tried, parts))
    assert found["precision"] == share(1, 1)
    assert found["recall"] == share(1, 1)
    assert found["false_merges"] == share(0, 1)
    assert found["leaks"] == found["violations"] == 0
    assert found["looked"] > 6
    again = asyncio.run(quality.measure(None, tried, Parts(tmp_path / "parts", {})))
    assert again["rows"] == found["rows"]  # from the file: nothing is measured twice


def test_no_kill_does_anything_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill, "WORLDS", {"sick": frozenset({"tested", "deployed", "rolling_back"})})
    found = asyncio.run(kill.measure(None, points=1))
    sick = found["worlds"]["sick"]
    assert (sick["duplicates"], sick["missing"]) == ({}, {})
    assert sick["lost_transitions"] == sick["repeated_transitions"] == 0
    assert sick["path"][-1] == "rolled_back"
    assert sick["expected"]["rollbacks"] == 1
    assert {"tested", "deployed", "rolling_back", kill.AFTER_AN_ACT} <= set(sick["kills"])
    assert "missed" not in markdown({"started": "2026-01-01", "machine": "m", "kill": found})


def test_every_row_of_the_red_team_table_names_tests_that_are_there() -> None:
    files = sorted({test.partition("::")[0] for test in red_team.all_tests()})
    words = (sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files)
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    there = {line.partition("[")[0] for line in done.stdout.splitlines() if "::" in line}
    assert set(red_team.all_tests()) <= there


def test_outcomes_of_the_red_team_are_those_of_the_report() -> None:
    test = red_team.ROWS["fork bomb"][0]
    module = test.partition("::")[0].removesuffix(".py").replace("/", ".")
    name = test.partition("::")[2]
    found = red_team.outcomes(
        {
            f"{module}::{name}[a]": Outcome.PASSED,
            f"{module}::{name}[b]": Outcome.FAILED,
            "x::y": Outcome.PASSED,
        }
    )
    assert found[test] == {"passed": 1, "failed": 1}
    text = markdown({"started": "2026-01-01", "machine": "m", "red-team": {"tests": found}})
    assert "| fork bomb |" in text
    assert "**not run** (1 failed, 1 passed)" in text
    for line in text.splitlines():
        if line.startswith("| ") and "attack" not in line:
            assert "**not run**" in line  # a test without an outcome is never taken for one that passed


def test_ranks() -> None:
    found = ranks([1, 0, 4, 2], [2, 3, 4, 0])
    assert [found["recall"][depth]["hits"] for depth in ("1", "5", "12")] == [1, 3, 3]
    assert found["mrr"] == pytest.approx((1 + 1 / 4 + 1 / 2) / 4)
    assert (found["better"], found["worse"]) == (2, 1)


SOURCE = '''"""A module."""


class A:
    """A class."""

    def f(self): """Adds two and two, says Ann."""

    def g(self):
        """Takes three from
        all that is there."""
        return "no docstring"
'''


def test_a_file_without_docstrings_is_the_same_program_in_fewer_lines() -> None:
    bare = without_docstrings(SOURCE)
    assert bare.count("...") == 4
    assert bare.count("\n") == SOURCE.count("\n") - 1
    assert "A class" not in bare
    assert 'return "no docstring"' in bare
    names = [getattr(node, "name", "") for node in ast.walk(ast.parse(bare))]
    assert names == [getattr(node, "name", "") for node in ast.walk(ast.parse(SOURCE))]


def test_what_is_asked_is_not_in_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Doubles what it is given.\n>>> double(2)\n4"
    row = ROW | {"docstring": said, "prompt": f'{ROW["prompt"]}    """{said}"""\n'}
    (tmp_path / "bugs").write_text(f"{json.dumps(row)}\n")
    bare, whole = modules(tmp_path / "bugs")
    assert bare.queries == (("Doubles what it is given.", "m00.py"),)
    assert "Doubles" not in "".join(bare.files.values())
    assert "Doubles" in whole.files["m00.py"]
    assert all(row["canonical_solution"] not in text for text in bare.files.values())
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.py").write_text(SOURCE)
    small = library(tmp_path / "lib")
    assert {query for query, _ in small.queries} == {
        "Adds two and two, says Ann.", "Takes three from all that is there."
    }  # fmt: skip
    monkeypatch.setattr(context, "library", lambda: small)
    monkeypatch.setattr(context, "MINILM", "no_such_package")
    found = context.measure(tmp_path / "bugs", 1)
    assert [each["queries"] for each in found.values()] == [1, 1, 1]
    assert list(found[small.name]["ways"]) == ["words", "hashed n-grams alone", "words and hashed n-grams"]
    text = markdown({"started": "2026-01-01", "machine": "m", "context": found})
    assert f"| {small.name} | words |" in text


def test_what_was_left_out_is_said() -> None:
    text = markdown({"started": "2026-01-01", "machine": "m", "quality": {"left_out": "no Docker"}})
    assert "Left out: no Docker" in text


def test_the_readme_has_room_for_the_results() -> None:
    text = README.read_text()
    assert all(marker in text for marker in markers("autopilot"))
