"""A model names a command and gives values; it never writes one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.policy import PolicyEngine, load_policy

ENGINE = PolicyEngine(
    load_policy(
        b"""
paths:
  allow: [{name: read, globs: ["*"], on: [read]}]
  forbid: [{name: secrets, globs: [.env], on: [read]}]
sandbox: {timeout_s: 50}
commands:
  plain: {argv: [make, check], timeout_s: 10}
  long: {argv: [make, all], timeout_s: 900}
  free:
    argv: [tool, "{any}"]
    placeholders: {any: {type: text, pattern: '[^~]{1,20}'}}
  all:
    argv: [tool, "--name={word}", "-n{count}", "{kind}", "{file}", "{more}"]
    placeholders:
      word: {type: text, pattern: "[a-z]{1,8}"}
      count: {type: integer, least: 1, most: 9}
      kind: {type: choice, choices: [red, blue]}
      file: {type: path}
      more: {type: path, pattern: "[a-z/.]{1,40}", max_values: 3}
""",
        "p",
    )
)
GOOD: dict[str, Any] = {
    "word": "abc",
    "count": 3,
    "kind": "red",
    "file": "a b.py",
    "more": ["x.py", "y/z.py"],
}


def test_values_take_their_places_and_stay_one_argument_each() -> None:
    call = ENGINE.decide_command("all", GOOD)
    assert call.decision.allowed
    assert call.argv == ("tool", "--name=abc", "-n3", "red", "a b.py", "x.py", "y/z.py")
    assert call.timeout_s == 50


def test_the_shorter_of_both_limits_holds() -> None:
    assert ENGINE.decide_command("plain", {}).timeout_s == 10
    assert ENGINE.decide_command("long", {}).timeout_s == 50


def test_an_integer_may_come_as_text() -> None:
    assert ENGINE.decide_command("all", GOOD | {"count": "3"}).argv[2] == "-n3"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("word", ""), ("word", "abcdefghi"), ("word", "ABC"), ("word", "abc\n"), ("word", "a;b"),
        ("word", "-a"),
        ("word", "a\0"), ("word", None), ("word", 1), ("word", ["a", "b"]), ("word", []),
        ("word", {"a": 1}),
        ("word", True), ("word", "{count}"),
        ("count", 0), ("count", 10), ("count", "1e1"), ("count", "٣"), ("count", True), ("count", 3.0),
        ("count", -1),
        ("count", "9" * 5000), ("kind", "green"), ("kind", "RED"), ("kind", 1),
        ("file", "../x"), ("file", "/etc/passwd"), ("file", "-rf"), ("file", ".env"), ("file", "a/.git/x"),
        ("file", "a\nb"), ("file", "x" * 201), ("more", ["x.py"] * 4), ("more", ["x.py", "-k"]),
        ("more", "X.py"),
        ("more", [["x.py"]]),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused(name: str, value: Any) -> None:
    call = ENGINE.decide_command("all", GOOD | {name: value})
    assert (call.decision.verdict, call.argv, call.timeout_s) == ("deny", (), 0)
    assert call.decision.rule == f"commands.all.placeholders.{name}"


@pytest.mark.parametrize("value", ["a\nb", "a\0b", "a\x1bb", "a\u202eb", "\n", "-a", "a\u2028b", "\ud800"])
def test_no_pattern_lets_control_characters_or_options_through(value: str) -> None:
    assert ENGINE.decide_command("free", {"any": "a $(b) ;"}).argv == ("tool", "a $(b) ;")
    assert ENGINE.decide_command("free", {"any": value}).argv == ()


@pytest.mark.parametrize("name", [None, 1, ["plain"], {"plain": 1}, "plain\n", "x" * 10_000])
def test_a_name_can_be_anything(name: Any) -> None:
    decision = ENGINE.decide_command(name, {}).decision
    assert decision.verdict == "deny"
    assert len(decision.reason) < 200


def test_missing_and_unknown_values_are_refused() -> None:
    assert ENGINE.decide_command("all", {}).decision.rule == "commands.all.placeholders.word"
    assert ENGINE.decide_command("plain", {"x": "y"}).decision.verdict == "deny"
    unknown = ENGINE.decide_command("rm -rf /", {}).decision
    assert (unknown.verdict, unknown.rule) == ("deny", "commands")
    assert "plain" in unknown.reason


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda each: st.lists(each, max_size=3),
)


@given(st.fixed_dictionaries({name: st.just(value) | _ANY for name, value in GOOD.items()}))
def test_whatever_comes_no_argument_is_an_option_or_breaks_a_line(values: dict[str, Any]) -> None:
    call = ENGINE.decide_command("all", values)
    if call.argv:
        assert call.argv[0] == "tool"
        assert 6 <= len(call.argv) <= 8
        assert all(argument.isprintable() for argument in call.argv)
        assert not any(argument.startswith("-") for argument in call.argv[3:])
