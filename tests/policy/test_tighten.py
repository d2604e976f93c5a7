"""The law of overrides: whatever one says, no request is decided more freely than without it."""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from zoran_ray.policy import (
    MODES,
    Decision,
    DeployFacts,
    MergeFacts,
    Override,
    Policy,
    PolicyEngine,
    for_repository,
)
from zoran_ray.policy.decision import STRICTNESS
from zoran_ray.policy.document import Rules
from zoran_ray.policy.strictness import (
    Add,
    FirstIsStrictest,
    Fixed,
    Keep,
    Least,
    Marker,
    Most,
    loosened,
    marker_of,
    tighten,
)

NAMES = st.sampled_from(["a", "b", "c"])
GLOBS = st.sampled_from(["*", "a/", "b/**", "*.py", "/a", "B/"])
OPERATIONS = ("read", "add", "modify", "delete")
PATHS = st.sampled_from(["a", "a/x.py", "b/y", "B/y", "x.py", ".git/a", "a/b/c", ".gitattributes"])
COUNTS = st.integers(0, 4)


def _some(values: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, max_size=most, unique_by=str)


PATH_RULES = _some(
    st.fixed_dictionaries(
        {"name": NAMES, "globs": st.lists(GLOBS, min_size=1, max_size=2)},
        optional={"on": st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=4)},
    )
)
TEXT_RULES = _some(
    st.fixed_dictionaries({"name": NAMES, "pattern": st.sampled_from(["foo", "ba[rz]", "x{3}"])})
)
SHARE = st.sampled_from([0.0, 0.5, 0.9, 1.0])

COMMON: dict[str, st.SearchStrategy[Any]] = {
    "mode_max": st.sampled_from(MODES),
    "changes": st.fixed_dictionaries(
        {},
        optional={
            "max_files": COUNTS,
            "max_lines": COUNTS,
            "max_bytes": st.integers(0, 400),
            "exec_bits": st.booleans(),
            "binary": st.booleans(),
            "gitattributes": st.booleans(),
        },
    ),
    "secrets": st.fixed_dictionaries(
        {}, optional={"detectors": _some(st.just("api_key")), "patterns": TEXT_RULES}
    ),
    "forbidden": TEXT_RULES,
    "sandbox": st.fixed_dictionaries(
        {},
        optional={
            "runtime": st.sampled_from(["runc", "runsc"]),
            "timeout_s": st.floats(1, 100),
            "processes": st.integers(16, 24),
            "env": _some(NAMES),
        },
    ),
    "merge": st.fixed_dictionaries(
        {},
        optional={
            "allowed": st.booleans(),
            "min_confidence": SHARE,
            "approvals": COUNTS,
            "strict_base": st.booleans(),
            "required_checks": _some(NAMES),
        },
    ),
    "deploy": st.fixed_dictionaries(
        {},
        optional={
            "allowed": st.booleans(),
            "targets": _some(NAMES),
            "min_confidence": SHARE,
            "rollback": st.booleans(),
        },
    ),
    "budgets": st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("tokens", "usd", "wall_s", "tries"), COUNTS)
    ),
}
PERMISSIONS = _some(st.sampled_from(["local", "network"]))
GRANTS = st.dictionaries(
    st.sampled_from(["*", "a"]),
    st.fixed_dictionaries({"tools": _some(NAMES | st.just("*")), "permissions": PERMISSIONS}),
)
POLICIES = st.fixed_dictionaries(
    {},
    optional={
        **COMMON,
        "paths": st.fixed_dictionaries(
            {"allow": PATH_RULES}, optional={"forbid": PATH_RULES, "ask": PATH_RULES}
        ),
        "commands": st.dictionaries(NAMES, st.just({"argv": ["x"]})),
        "tools": st.fixed_dictionaries({"grants": GRANTS, "permissions": PERMISSIONS}),
        "actions": st.fixed_dictionaries(
            {"allow": st.just(["a", "b"])}, optional={"ask": _some(st.just("a"))}
        ),
    },
).map(Policy.model_validate)
OVERRIDES = st.fixed_dictionaries(
    {},
    optional={
        **COMMON,
        "paths": st.fixed_dictionaries(
            {}, optional={"only": PATH_RULES, "forbid": PATH_RULES, "ask": PATH_RULES}
        ),
        "commands": _some(NAMES),
        "tools": st.fixed_dictionaries({}, optional={"permissions": PERMISSIONS, "forbid": _some(NAMES)}),
        "actions": st.fixed_dictionaries(
            {}, optional={"allow": _some(NAMES), "ask": _some(NAMES), "forbid": _some(NAMES)}
        ),
    },
).map(Override.model_validate)


def _patch(path: str, line: str) -> bytes:
    head = f":000000 100644 {'0' * 40} {'1' * 40} A\0{path}\0" + f"1\t0\t{path}\0\0"
    return f"{head}diff --git a/{path} b/{path}\n+++ b/{path}\n@@ -0,0 +1 @@\n+{line}\n".encode()


REQUESTS: st.SearchStrategy[Any] = st.one_of(
    st.tuples(st.just("decide_mode"), st.tuples(st.sampled_from(MODES))),
    st.tuples(st.just("decide_path"), st.tuples(PATHS, st.sampled_from(OPERATIONS))),
    st.tuples(st.just("decide_action"), st.tuples(NAMES)),
    st.tuples(st.just("decide_tool"), st.tuples(NAMES, NAMES, st.sampled_from(["local", "network"]))),
    st.tuples(st.just("decide_text"), st.tuples(st.sampled_from(["foo", "bar", "xxx", "clean", "k"]))),
    st.tuples(
        st.just("decide_diff"), st.tuples(st.builds(_patch, PATHS, st.sampled_from(["foo", "baz", "ok"])))
    ),
    st.tuples(
        st.just("decide_merge"),
        st.tuples(
            st.builds(
                MergeFacts,
                st.sampled_from(MODES),
                st.none() | SHARE,
                COUNTS,
                st.booleans(),
                st.booleans(),
                st.dictionaries(NAMES, st.booleans()),
                COUNTS,
            )
        ),
    ),
    st.tuples(
        st.just("decide_deploy"),
        st.tuples(
            st.builds(DeployFacts, st.sampled_from(MODES), NAMES, st.none() | SHARE, COUNTS, st.booleans())
        ),
    ),
)


@given(POLICIES, OVERRIDES, st.lists(REQUESTS, min_size=1, max_size=12))
def test_no_override_makes_any_decision_freer(
    policy: Policy, override: Override, requests: list[Any]
) -> None:
    # Not checked at load, on purpose: it has to hold by construction.
    before, after = PolicyEngine(policy), PolicyEngine(for_repository(policy, "x", override))
    for method, arguments in requests:
        free: Decision = getattr(before, method)(*arguments)
        bound: Decision = getattr(after, method)(*arguments)
        assert STRICTNESS[bound.verdict] >= STRICTNESS[free.verdict], (method, arguments)


@given(POLICIES, OVERRIDES, NAMES)
def test_no_command_and_no_sandbox_gets_freer(policy: Policy, override: Override, name: str) -> None:
    tight = for_repository(policy, "x", override)
    before, after = (PolicyEngine(each).decide_command(name, {}) for each in (policy, tight))
    assert STRICTNESS[after.decision.verdict] >= STRICTNESS[before.decision.verdict]
    assert not after.argv or (after.argv == before.argv and after.timeout_s <= before.timeout_s)
    assert set(tight.sandbox.env) <= set(policy.sandbox.env)
    limits = policy.sandbox.limits()
    assert all(limit <= limits[name] for name, limit in tight.sandbox.limits().items())
    assert (tight.sandbox.image, tight.sandbox.network) == (policy.sandbox.image, "none")
    assert policy.sandbox.runtime == "runc" or tight.sandbox.runtime == "runsc"


@given(POLICIES, OVERRIDES)
def test_tightening_twice_is_tightening_once(policy: Policy, override: Override) -> None:
    once = tighten(policy, override)
    assert tighten(once, override) == once


@given(POLICIES, OVERRIDES)
def test_what_loosens_nothing_takes_hold_as_it_is_written(policy: Policy, override: Override) -> None:
    if not list(loosened(policy, override)) and override.mode_max:
        assert tighten(policy, override).mode_max == override.mode_max


def _leaves(model: type[BaseModel], place: str = "") -> Iterator[tuple[str, Marker]]:
    for name, field in model.model_fields.items():
        marker = marker_of(field)
        if marker is None:
            yield from _leaves(field.annotation, f"{place}{name}.")  # type: ignore[arg-type]
        else:
            yield place + name, marker


def test_every_setting_says_which_way_it_is_stricter() -> None:
    fixed = {name for name, marker in _leaves(Rules) if isinstance(marker, Fixed)}
    assert fixed == {"paths.allow", "sandbox.image", "sandbox.network", "tools.grants"}


def _is_as_strict(marker: Marker, before: Any, after: Any) -> bool:
    match marker:
        case Most():
            return bool(after <= before)
        case Least():
            return bool(after >= before)
        case Keep():
            return set(after) <= set(before)
        case Add():
            return all(item in after for item in before)
        case FirstIsStrictest():
            return not marker.loosens(before, after)
    return bool(after == before)


@given(POLICIES, OVERRIDES)
def test_no_setting_gets_looser(policy: Policy, override: Override) -> None:
    tight = tighten(policy, override)
    for name, marker in _leaves(Rules):
        look = attrgetter(name)
        assert _is_as_strict(marker, look(policy), look(tight)), name


@pytest.mark.parametrize(
    ("name", "base", "mine", "met"),
    [
        ("merge.approvals", 2, 1, 2),
        ("merge.approvals", 1, 2, 2),
        ("merge.strict_base", True, False, True),
        ("merge.required_checks", ("a",), ("b",), ("a", "b")),
        ("changes.max_files", 2, 3, 2),
        ("changes.exec_bits", False, True, False),
        ("sandbox.runtime", "runsc", "runc", "runsc"),
        ("sandbox.env", ("A", "B"), ("B", "C"), ("B",)),
        ("mode_max", "operator", "sovereign", "operator"),
    ],
)
def test_the_stricter_of_both_holds(name: str, base: Any, mine: Any, met: Any) -> None:
    section, _, setting = name.rpartition(".")
    nested = (lambda value: {section: {setting: value}}) if section else (lambda value: {setting: value})
    policy, override = Policy.model_validate(nested(base)), Override.model_validate(nested(mine))
    assert attrgetter(name)(tighten(policy, override)) == met
