"""The dialect of path patterns, and the order in which the rules for paths are asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.policy import Policy, PolicyEngine
from zoran_ray.policy.globs import Globs, checked_glob

ABOUT = [
    ("*.py", ["a.py", "x/y/a.py"], ["a.pyc", "py"]),
    ("src/**", ["src/a", "src/a/b"], ["src", "x/src/a"]),
    ("/a", ["a", "a/b"], ["x/a"]),
    ("docs/", ["docs/a", "x/docs/a/b"], ["docs", "docs.md"]),
    ("a/*/b", ["a/x/b", "a/x/b/c"], ["a/b", "a/x/y/b"]),
    ("**/auth/**", ["auth/a", "x/auth/a"], ["author/a", "auth"]),
    ("[ab].?", ["a.c", "x/b.h"], ["c.c", "a.cc"]),
]


@pytest.mark.parametrize(("glob", "yes", "no"), ABOUT)
def test_a_pattern_matches_as_gitignore_would(glob: str, yes: list[str], no: list[str]) -> None:
    globs = Globs([checked_glob(glob)])
    assert [path for path in yes if not globs.match(path)] == []
    assert [path for path in no if globs.match(path)] == []


@pytest.mark.parametrize(
    "glob",
    [
        "",
        "/",
        " a",
        "a ",
        "!a",
        "#a",
        "a\\b",
        "a/../b",
        "./a",
        "**/**/**/a",
        "a*b*c*d",
        "a**",
        "e\u0301",
        "a\n",
        "x" * 300,
    ],
)
def test_what_is_not_of_the_dialect_is_refused(glob: str) -> None:
    with pytest.raises(ValueError, match=r"path pattern|stands alone"):
        checked_glob(glob)


def _engine(**paths: object) -> PolicyEngine:
    return PolicyEngine(Policy.model_validate({"paths": paths}))


def _rule(name: str, *globs: str, on: tuple[str, ...] = ("add", "modify", "delete")) -> dict[str, object]:
    return {"name": name, "globs": globs, "on": on}


ALL = _rule("all", "*", on=("read", "add", "modify", "delete"))


def test_nothing_is_allowed_unless_a_rule_says_so() -> None:
    decision = PolicyEngine(Policy()).decide_path("a.py", "read")
    assert (decision.verdict, decision.rule) == ("deny", "paths.allow")


def test_forbid_beats_allow_and_ask() -> None:
    engine = _engine(allow=[ALL], ask=[_rule("look", "a/")], forbid=[_rule("no", "a/b")])
    assert engine.decide_path("x", "add").verdict == "allow"
    assert engine.decide_path("a/x", "add").rule == "paths.ask.look"
    decision = engine.decide_path("a/b", "add")
    assert (decision.verdict, decision.rule) == ("deny", "paths.forbid.no")
    assert [step.verdict for step in decision.steps] == ["deny", "allow", "needs_person"]
    assert engine.decide_path("a/b", "read").verdict == "allow"


@pytest.mark.parametrize("path", ["CI/x", "ci/X", "Ci/x", "c\uff49/x", "\u017fecret", "STRASSE", "straße"])
def test_what_is_protected_is_protected_in_every_spelling(path: str) -> None:
    engine = _engine(allow=[ALL], forbid=[_rule("no", "ci/", "secret", "Straße")])
    assert engine.decide_path(path, "modify").verdict == "deny"


def test_allow_knows_case() -> None:
    engine = _engine(allow=[_rule("one", "src/")])
    assert engine.decide_path("src/a", "add").allowed
    assert not engine.decide_path("SRC/a", "add").allowed


def test_only_narrows_what_it_is_on() -> None:
    engine = _engine(allow=[ALL], only=[_rule("in", "src/")])
    assert engine.decide_path("src/a", "add").allowed
    assert engine.decide_path("a", "add").rule == "paths.only.in"
    assert engine.decide_path("a", "read").allowed


@pytest.mark.parametrize("path", [".zoran/policy.yaml", ".ZORAN/x", "x/.gitattributes", ".GitModules"])
def test_what_bounds_agents_or_runs_programs_is_refused(path: str) -> None:
    engine = _engine(allow=[ALL])
    assert engine.decide_path(path, "modify").verdict == "deny"
    assert engine.decide_path(path, "read").verdict == "allow"


def test_a_policy_may_allow_gitattributes() -> None:
    policy = Policy.model_validate({"paths": {"allow": [ALL]}, "changes": {"gitattributes": True}})
    assert PolicyEngine(policy).decide_path("a/.gitattributes", "modify").allowed
    assert not PolicyEngine(policy).decide_path(".gitmodules", "modify").allowed


@given(st.text(max_size=30))
def test_a_refused_name_is_refused_whatever_is_allowed(path: str) -> None:
    decision = _ANYTHING.decide_path(path, "modify")
    if not decision.allowed:
        assert decision.rule.startswith("built in") or decision.rule.startswith("changes")
    assert all(step.reason.isprintable() for step in decision.steps)


_ANYTHING = _engine(allow=[ALL])
