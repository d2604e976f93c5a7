"""Files of needed repositories in a run of tests: who finds them, what they hide, what is left out."""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.autopilot.here import Here
from zoran_ray.autopilot.testing import (
    Dependency,
    Outcome,
    Run,
    broken,
    compare,
    require_room,
    run_tests,
)
from zoran_ray.autopilot.testing.dependency import laid
from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.sandbox import Limits

NAMES = ("one_two_three_four", "five_six_seven_eight")


def kept(own: str, *tree: str) -> set[str]:
    """Which files of a tree are laid beside a tested tree with one file."""
    files, _ = laid([{"here.py": b"", **dict.fromkeys(tree, b"")}], [own], NAMES[:1])
    return {path.removeprefix(f"{NAMES[0]}/") for path in files} - {"here.py"}


@pytest.mark.parametrize(
    "path",
    [
        "pytest.py", "src/pytest.py", "pytest/__init__.py", "src/pytest/__init__.py", "_pytest/python.py",
        "src/_pytest/python.py", "pluggy/__init__.py", "sitecustomize.py", "src/usercustomize.py",
        "evil.pth", "src/evil.pth", "conftest.py", "src/lib/conftest.py", "tests/test_lib.py",
        "test/__init__.py", "evil.dist-info/entry_points.txt", "src/evil.egg-info/entry_points.txt",
    ],
)  # fmt: skip
def test_what_is_loaded_by_itself_and_tests_stay_behind(path: str) -> None:
    assert kept("app.py", path) == set()


@pytest.mark.parametrize(
    ("own", "path"),
    [
        ("app.py", "app.py"), ("app.py", "src/app.py"), ("app.py", "app/__init__.py"),
        ("app.py", "app.pyc"), ("src/app.py", "app.py"), ("src/app/__init__.py", "src/app/__init__.py"),
        ("app.py", "app.cpython-313-x86_64-linux-gnu.so"), ("shop/app.py", "shop.py"),
        ("shop/app.py", "shop/__init__.py"), ("shop/app.py", "src/shop/__init__.py"),
        ("a/b/c.py", "a/b.py"),
    ],
)  # fmt: skip
def test_no_module_of_the_tested_tree_can_be_hidden(own: str, path: str) -> None:
    assert kept(own, path) == set()


def test_what_hides_nothing_is_there() -> None:
    lib = ("src/shop/lib/__init__.py", "src/shop/lib/testing/tools.py", "data/rates.json", "LICENSE")
    assert kept("shop/app.py", *lib) == {*lib}


def test_a_tree_without_python_is_not_laid() -> None:
    assert laid([{"index.js": b""}], ["app.py"], NAMES[:1]) == ({}, ())


PATHS = st.lists(
    st.sampled_from(["a", "b", "src", "__init__", "tests", "conftest"]), min_size=1, max_size=3
).map(lambda parts: "/".join(parts) + ".py")


@given(own=st.lists(PATHS, max_size=4), tree=st.lists(PATHS, max_size=4))
def test_whatever_lies_there_the_tested_trees_modules_are_its_own(own: list[str], tree: list[str]) -> None:
    def modules(path: str) -> set[str]:
        name = path.removesuffix(".py").removesuffix("/__init__")
        return {name, name.removeprefix("src/")} - {"__init__"}

    files, folders = laid([dict.fromkeys(tree, b"")], own, NAMES[:1])
    laid_modules = {name for path in files for name in modules(path.partition("/")[2])}
    assert not laid_modules & {name for path in own for name in modules(path)}
    assert all(path.startswith(f"{NAMES[0]}/") for path in files)
    assert set(folders) <= {NAMES[0], f"{NAMES[0]}/src"}


LIB = {
    "src/lib.py": b"from base import rate\n\ndef price(n):\n    return n * rate\n",
    "test_lib.py": b"assert 0\n",
}
BASE = {"base.py": b"rate = 2\n", "json.py": b"raise SystemExit\n", "conftest.py": b"raise SystemExit\n"}
APP = {
    "app.py": b"from lib import price\n\n\ndef total(n):\n    return price(n) + 1\n",
    "tests/test_app.py": (
        b"import json\n\nfrom app import total\n\n\ndef test_total():\n    assert total(2) == 5\n\n\n"
        b"def test_bad():\n    assert total(2) == 6\n"
    ),
}


def ran(folder: Path, *beside: Mapping[str, bytes], command: tuple[str, ...] = ()) -> tuple[Run, str]:
    more = {"command": command} if command else {}
    return asyncio.run(run_tests(Here(folder), APP, timeout_s=30, beside=beside, **more))  # type: ignore[arg-type]


def test_tests_find_what_they_need_and_none_of_its_tests_is_run(tmp_path: Path) -> None:
    run, said = ran(tmp_path, LIB, BASE)
    assert run == Run(
        {"tests.test_app::test_total": Outcome.PASSED, "tests.test_app::test_bad": Outcome.FAILED}
    )
    assert "test_lib" not in said
    (folder,) = {path.parent for path in tmp_path.rglob("lib.py")}
    assert folder.parent.name not in said


def test_without_it_they_fail(tmp_path: Path) -> None:
    run, _ = ran(tmp_path)
    assert run.honest
    assert run.outcomes == {"::tests.test_app": Outcome.ERROR}


def test_what_is_needed_comes_before_what_is_installed(tmp_path: Path) -> None:
    """`iniconfig` is: pytest needs it. Whoever imports it once more gets it from the needed tree."""
    text = b"import sys\nsys.modules.pop('iniconfig')\nimport iniconfig\n\ndef test_it(): iniconfig.ours\n"
    tree = {"iniconfig.py": b"ours = 1\n"}
    run, _ = asyncio.run(run_tests(Here(tmp_path), {"test_it.py": text}, timeout_s=30, beside=[tree]))
    assert run.outcomes == {"test_it::test_it": Outcome.PASSED}


def test_a_command_that_cannot_find_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="python -m pytest"):
        ran(tmp_path, LIB, command=("pytest", "-q"))


@pytest.mark.parametrize(("files", "size", "fits"), [(3, 6, True), (2, 6, False), (3, 5, False)])
def test_what_is_too_much_for_the_sandbox_is_said(files: int, size: int, fits: bool) -> None:
    trees = [{"a.py": b"12345", "b.py": b""}, {"c.py": b"1"}]
    room = Limits(input_files=files, input_bytes=size)
    with contextlib.nullcontext() if fits else pytest.raises(InvalidRequest, match="3 files with 6 bytes"):
        require_room(trees, room)


def test_a_dependency_as_it_was() -> None:
    old, new = {"a.py": b"1"}, {"a.py": b"2"}
    assert Dependency(new, old).before == Dependency(old)
    assert Dependency(old).before == Dependency(old)


_WORSE = "1 tests passed before and do not now: t::b"
P, F, S, E = Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED, Outcome.ERROR


@pytest.mark.parametrize(
    ("now", "after", "fixed", "reason"),
    [
        ({"t::a": F, "t::b": P}, {"t::a": P, "t::b": P}, ("t::a",), ""),
        ({"t::a": F, "t::b": F}, {"t::a": P, "t::b": F}, ("t::a",), _WORSE),
        ({"t::a": F, "t::b": S}, {"t::a": P, "t::b": S}, ("t::a",), _WORSE),
        ({"t::a": F}, {"t::a": P}, ("t::a",), "1 tests of the base did not run: t::b"),
        ({"::t": E}, {"t::a": P, "t::b": P}, ("t::a", "t::b"), ""),
        ({"::t": E}, {"t::a": P}, ("t::a",), "1 tests of the base did not run: t::b"),
        ({"::t": E}, {"::t": E}, (), "2 tests of the base did not run: t::a, t::b"),
    ],
)  # fmt: skip
def test_what_a_change_elsewhere_broke_is_to_be_mended(
    now: dict[str, Outcome], after: dict[str, Outcome], fixed: tuple[str, ...], reason: str
) -> None:
    without = Run({"t::a": P, "t::b": P})
    evidence = compare(Run(now), Run(after), Run(after), without)
    assert evidence.fixed == fixed
    assert evidence.holds is not bool(reason)
    assert not reason or reason in evidence.reasons


OUTCOMES = st.dictionaries(st.sampled_from(["t::a", "t::b", "::t"]), st.sampled_from(Outcome), max_size=3)


@given(without=OUTCOMES, now=OUTCOMES, after=OUTCOMES)
def test_evidence_that_holds_leaves_nothing_broken(
    without: dict[str, Outcome], now: dict[str, Outcome], after: dict[str, Outcome]
) -> None:
    if compare(Run(now), Run(after), Run(after), Run(without)).holds:
        assert all(after[name] is P for name, outcome in without.items() if outcome is P)


def test_a_run_that_is_no_evidence_shows_nothing_broken() -> None:
    for without in (Run({"t::a": P}, honest=False), Run({}, fault="no report.")):
        assert broken(without, Run({})) == (frozenset(), frozenset())
