import asyncio
import contextlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import ConfigError, InvalidRequest, Overloaded, SandboxUnavailable
from zoran_ray.reasoning.verifier import Verdict, Verifier
from zoran_ray.reasoning.verifiers import (
    Arithmetic,
    Exact,
    JsonSchema,
    Numeric,
    Regex,
    UnitTests,
    UserSupplied,
    load_verifiers,
    verifier_of,
)
from zoran_ray.reasoning.verifiers.user import MOST_LEFT_BEHIND
from zoran_ray.tools.arithmetic import Expression
from zoran_ray.tools.pattern import MOST_PATTERN, MOST_TEXT


def judged(verifier: Verifier, answer: str) -> Verdict:
    return asyncio.run(verifier(answer))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verifier", "right", "wrong"),
    [
        (Exact("Paris"), ["paris", " Paris. ", "**Paris**"], ["Paris, Texas", "", "Lyon"]),
        (Numeric("42"), ["42", "It is 42.", "42.0", "$42"], ["43", "", "forty-two", "-42"]),
        (Numeric("0.333", tolerance=0.001), ["1/3"], ["0.34"]),
        (Numeric("1000", relative=0.01), ["1,005"], ["1,011"]),
        (Regex(r"[a-z]{2}\d+"), ["ab12", " ab1\n"], ["ab", "xab12", "ab12 "[:-1] + "!", "ab1\nab1"]),
        (Arithmetic(Fraction(24)), ["4*6", "4 × 6 = 24", "(10-4)*(13-9)"], ["4*5", "import os", "2**3*3"]),
        (
            Arithmetic(Fraction(24), tuple(map(Fraction, (3, 3, 8, 8)))),
            ["8/(3-8/3)"],
            ["3*8", "8*3*(3-8/8)", "24"],
        ),
        (
            JsonSchema({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}),
            ['{"a": 1}', 'Here:\n```json\n{"a": 1}\n```\nDone.'],
            ['{"a": "1"}', "{}", "a", "", '{"a": NaN}', "[" * 100_000, "1" * 5_000],
        ),
    ],
)
def test_right_and_wrong(verifier: Verifier, right: list[str], wrong: list[str]) -> None:
    for answer in right:
        assert judged(verifier, answer).ok, answer
    for answer in wrong:
        assert not judged(verifier, answer).ok, answer


@given(st.text(max_size=200))
def test_no_answer_breaks_a_verifier(answer: str) -> None:
    for verifier in (
        Exact("a"), Numeric("1"), Regex("a+"), Arithmetic(Fraction(1)), JsonSchema({"type": "array"})
    ):  # fmt: skip
        assert isinstance(judged(verifier, answer), Verdict)


@given(st.text(st.characters(exclude_characters="0123456789abcdefghijklmnopqrstuvwxyz", codec="utf-8")))
def test_what_is_expected_is_never_told(answer: str) -> None:
    for verifier in (Exact("xyzzy471"), Numeric("47114711"), JsonSchema({"const": "xyzzy471"})):
        verdict = judged(verifier, answer)
        assert "471" not in verdict.why + repr(verifier)


@pytest.mark.parametrize(
    "pattern", ["(", "a{99999}", r"(a)\1", "(?=a)", "(?:a{1,50}){51}", "a" * (MOST_PATTERN + 1), "a)|(b"]
)
def test_patterns_that_cannot_be_used_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        Regex(pattern)
    assert raised.value.param == "pattern"


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$", r"(.*a){12}x", r"(?:a?){40}a{40}b"])
def test_patterns_that_would_take_years_come_to_an_end(pattern: str) -> None:
    assert not judged(Regex(pattern), "a" * (MOST_TEXT - 1) + "!").ok


def test_a_long_text_does_not_match() -> None:
    assert not judged(Regex(".*"), "a" * (MOST_TEXT + 1)).ok


DOUBLING = {
    "$defs": {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)} | {"d40": True},
    "$ref": "#/$defs/d0",
}


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        (DOUBLING, "1"),
        ({"$ref": "#"}, "1"),
        ({"$ref": "#/$defs/none"}, "1"),
        (
            {"items": {"anyOf": [{"required": [str(i) for i in range(5_000)]}, True]}},
            json.dumps([{}] * 9_000),
        ),
        ({"items": {"pattern": "(a+)+$"}}, json.dumps(["a" * 5_000 + "!"] * 12)),
        ({"allOf": [{"const": "a" * 1_000}] * 50, "minLength": 1}, json.dumps("a" * 1_000)),
        ({"multipleOf": 1e-300}, "1e308"),
    ],
)
def test_schemas_that_ask_for_too_much_end(schema: dict[str, Any], answer: str) -> None:
    with contextlib.suppress(InvalidRequest):
        judged(JsonSchema(schema), answer)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no such type"},
        {"$ref": "http://127.0.0.1:1/schema"},
        {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
        {"patternProperties": {"(a+)+$": True}},
        {"unevaluatedProperties": False},
        {"pattern": "(?=a)"},
        {"enum": ["a" * 70_000]},
        {"a": object()},
    ],
)
def test_schemas_that_cannot_be_used_are_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        JsonSchema(schema)


def test_a_property_may_be_called_like_a_keyword_and_items_are_unique_as_json() -> None:
    schema = JsonSchema({"properties": {"pattern": {"type": "string"}, "$ref": {}}, "uniqueItems": True})
    assert judged(schema, '{"pattern": "("}').ok
    assert not judged(schema, '[{"a": 1, "b": 2}, {"b": 2.0, "a": 1}]').ok
    assert judged(schema, "[1, true, 2]").ok


def plainly(text: str) -> Fraction:
    return Expression(text, plain=True).value()


@given(st.recursive(
    st.integers(0, 10**6).map(str),
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda parts: f"({''.join(parts)})"),
    max_leaves=12,
))  # fmt: skip
def test_arithmetic_is_python_s(expression: str) -> None:
    assert plainly(expression) == eval(expression)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1/0",
        "9**9**9",
        "()",
        "1 2",
        "...",
        "((((" * 60,
        "(" * 200,
        "9" * 600,
        "a",
        "1(2)",
        "1,2",
        "012",
        "2^3",
        "9//2",
        "9%2",
        "min(1)",
        "1e3",
    ],
)
def test_what_is_no_arithmetic_is_said(text: str) -> None:
    with pytest.raises(InvalidRequest):
        plainly(text)


def test_decimals_are_exact() -> None:
    assert plainly("0.1 + 0.2") == Fraction(3, 10)


def test_functions_judge_wherever_they_run() -> None:
    async def coroutine(answer: str) -> bool:
        return answer == "1"

    for function in (lambda answer: answer == "1", coroutine, lambda answer: Verdict(answer == "1")):
        assert judged(UserSupplied(function), "1").ok
        assert not judged(UserSupplied(function), "2").ok


def test_a_function_that_raises_or_gives_no_verdict_is_an_error_of_its_own() -> None:
    def stops(answer: str) -> bool:
        raise StopIteration

    for function in (stops, lambda answer: "yes"):
        with pytest.raises((RuntimeError, TypeError)):
            judged(UserSupplied(function), "1")  # type: ignore[arg-type]


def test_functions_that_hang_are_not_asked_for_ever() -> None:
    free = threading.Event()

    async def asked() -> None:
        verifier = UserSupplied(lambda answer: free.wait(30))
        for _ in range(MOST_LEFT_BEHIND):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(verifier("x"), 0.01)
        with pytest.raises(Overloaded):
            await verifier("x")

    try:
        asyncio.run(asked())
    finally:
        free.set()


def at_most(answer: str, words: int = 2) -> bool:
    """An operator's function, as the settings name it."""
    return len(answer.split()) <= words


HERE = __name__
NO_FUNCTION = 3


def test_a_function_of_the_operators_is_asked_for_by_name() -> None:
    own = load_verifiers({"short": f"{HERE}:at_most"})
    asked = {"kind": "own", "name": "short"}
    assert verifier_of(asked, own=own).name == "short"
    assert not judged(verifier_of(asked, own=own), "one two three").ok
    assert judged(verifier_of({**asked, "arguments": {"words": 3}}, own=own), "one two three").ok


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": "shrt"}, "name"),
        ({}, None),
        ({"name": "short", "arguments": {"colour": 1}}, "arguments"),
        ({"name": "short", "arguments": {"answer": "x"}}, "arguments"),
        ({"name": "short", "words": 3}, "words"),
    ],
)
def test_what_such_a_function_does_not_take_is_refused(fields: dict[str, Any], param: str | None) -> None:
    own = load_verifiers({"short": f"{HERE}:at_most"})
    with pytest.raises(InvalidRequest) as error:
        verifier_of({"kind": "own", **fields}, own=own)
    assert error.value.param == param
    with pytest.raises(InvalidRequest):
        verifier_of({"kind": "own", "name": "short"})


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("nowhere.at_all:judge", "ModuleNotFoundError"),
        (f"{HERE}:nothing", "AttributeError"),
        (f"{HERE}:NO_FUNCTION", "no function"),
    ],
)
def test_a_function_that_is_not_there_is_told_at_the_start(place: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        load_verifiers({"short": place})
    assert error.value.param == "reasoning.verifiers.short"


def test_threads_that_hang_count_for_all_requests_together() -> None:
    free = threading.Event()

    def hangs(answer: str, seconds: int = 30) -> bool:
        return free.wait(seconds)

    async def asked() -> None:
        own = {"slow": UserSupplied(hangs, "slow", threads=2)}
        for _ in range(2):
            verifier = verifier_of({"kind": "own", "name": "slow", "arguments": {"seconds": 29}}, own=own)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(verifier("x"), 0.01)  # type: ignore[arg-type]
        with pytest.raises(Overloaded):
            await verifier_of({"kind": "own", "name": "slow"}, own=own)("x")

    try:
        asyncio.run(asked())
    finally:
        free.set()


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    exit_status: int | None
    stdout: bytes = b""
    stderr: bytes = b""
    timed_out: bool = False
    files_out: Mapping[str, bytes] = field(default_factory=dict)


class Sandbox:
    """Runs nothing: notes what it is to run, and says how it ended."""

    def __init__(self, ended: Ended) -> None:
        self.ended = ended
        self.files: Mapping[str, bytes] = {}

    async def run(self, files: Mapping[str, bytes], argv: Sequence[str], *, timeout_s: float) -> Ended:
        self.files = files
        return self.ended


def test_unit_tests_judge_the_code_in_the_answer() -> None:
    sandbox = Sandbox(Ended(0))
    answer = "Try this:\n```python\ndef f(): return 1\n```"
    assert judged(UnitTests(sandbox, "import solution"), answer).ok
    assert sandbox.files["solution.py"] == b"def f(): return 1"
    assert judged(UnitTests(sandbox, ""), "\ud800").ok  # half a character is no reason to fall over
    failed = Sandbox(Ended(1, stderr=b"expected 4711 \xff"))
    assert "4711" not in judged(UnitTests(failed, ""), answer).why
    assert "4711" in judged(UnitTests(failed, "", tell=True), answer).why
    assert "in time" in judged(UnitTests(Sandbox(Ended(None, timed_out=True)), ""), answer).why
    assert not judged(UnitTests(Sandbox(Ended(None)), ""), answer).ok
    assert not judged(UnitTests(sandbox, ""), "").ok


@pytest.mark.parametrize(
    ("asked", "right"),
    [
        ({"kind": "exact", "expected": "Yes"}, "yes"),
        ({"kind": "numeric", "expected": 4.5, "tolerance": 1}, "5"),
        ({"kind": "numeric", "expected": "3/4"}, "0.75"),
        ({"kind": "json-schema", "schema": {"type": "array"}}, "[]"),
        ({"kind": "regex", "pattern": "a+"}, "aa"),
        ({"kind": "arithmetic", "target": 24, "numbers": [4, 6]}, "6*4"),
    ],
)
def test_verifiers_of_requests(asked: dict[str, Any], right: str) -> None:
    assert judged(verifier_of(asked), right).ok


def test_unit_tests_of_a_request_run_in_the_sandbox_or_nowhere() -> None:
    asked = {"kind": "unit-tests", "tests": "import solution"}
    assert judged(verifier_of(asked, Sandbox(Ended(0))), "x = 1").ok
    with pytest.raises(SandboxUnavailable, match="no sandbox"):
        judged(verifier_of(asked), "x = 1")


@pytest.mark.parametrize(
    ("asked", "param", "said"),
    [
        ({}, "kind", "known here: arithmetic, exact"),
        ({"kind": "numerik"}, "kind", "did you mean 'numeric'"),
        ({"kind": ["x"]}, "kind", "no such kind"),
        ({"kind": "numeric"}, None, "expected, tolerance, relative"),
        ({"kind": "numeric", "expected": "secret"}, "expected", "no number"),
        ({"kind": "exact", "expected": ["secret"]}, "expected", "wrong or missing"),
        ({"kind": "exact", "expected": "secret", "extra": 1}, "extra", "Its fields: expected, compare"),
        ({"kind": "json-schema", "schema": {"type": 1}}, "schema", "no JSON Schema"),
        ({"kind": "regex", "pattern": "("}, "pattern", "cannot be used"),
        ({"kind": "arithmetic", "target": 10**30}, "target", "wrong or missing"),
    ],
)
def test_a_wrong_wish_is_told_with_its_field_and_without_what_is_expected(
    asked: dict[str, Any], param: str | None, said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said) as raised:
        verifier_of(asked)
    assert raised.value.param == param
    assert "secret" not in raised.value.message
