"""The calculator gives what exact fractions give, and nothing that is written to it does harm."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import InvalidRequest
from zoran_ray.tools.arithmetic import MOST_CHARS, evaluate
from zoran_ray.tools.calculator import MOST_DECIMALS, Calculator, written

small = st.integers(0, 99).map(lambda number: (str(number), Fraction(number)))
decimal = st.decimals(0, 99, places=2).map(lambda number: (str(number), Fraction(number)))


def joined(pair):
    def grown(left, sign, right):
        (left_text, left_value), (right_text, right_value) = left, right
        value = {
            "+": lambda: left_value + right_value,
            "-": lambda: left_value - right_value,
            "*": lambda: left_value * right_value,
            "/": lambda: left_value / right_value,
            "//": lambda: Fraction(left_value // right_value),
            "%": lambda: left_value % right_value,
        }[sign]
        return f"({left_text}) {sign} ({right_text})", value

    def computed(made):
        text, value = made
        try:
            return text, value()
        except ZeroDivisionError:
            return "1", Fraction(1)

    signs = st.sampled_from(["+", "-", "*", "/", "//", "%"])
    return st.builds(grown, pair, signs, pair).map(computed)


expressions = st.recursive(small | decimal, joined, max_leaves=8)


@given(expressions)
def test_it_computes_what_fractions_compute(made):
    text, value = made
    assert evaluate(text) == value


@given(st.lists(st.tuples(st.sampled_from("+-*/"), st.integers(1, 50)), max_size=12), st.integers(0, 50))
def test_precedence_is_pythons(steps, first):
    plain = str(first) + "".join(f" {sign} {number}" for sign, number in steps)
    exact = f"Fraction({first})" + "".join(f" {sign} Fraction({number})" for sign, number in steps)
    assert evaluate(plain) == eval(exact)


@given(st.fractions(max_denominator=10**9))
def test_what_is_written_is_the_value(value):
    text = written(value)
    exact, _, about = text.partition(" (about ")
    assert Fraction(exact) == value
    if about:
        assert float(about.removesuffix(")")) == pytest.approx(float(value), rel=1e-9)


@given(st.integers(-(10**30), 10**30), st.integers(0, MOST_DECIMALS))
def test_decimal_fractions_are_written_in_full(number, places):
    value = Fraction(number, 10**places)
    assert "/" not in written(value)
    assert Fraction(written(value)) == value


@given(st.text(max_size=60) | st.text("0123456789+-*/%()., eE^=absminmaxroudflc", max_size=60))
def test_any_text_has_a_value_or_is_refused_with_a_reason(text):
    try:
        value = evaluate(text)
    except InvalidRequest:
        return
    assert isinstance(value, Fraction)
    assert written(value)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("2+2", "4"),
        ("12 × (3 − 1) ÷ 5 =", "4.8"),
        ("0.1 + 0.2", "0.3"),
        ("2^10", "1024"),
        ("-2**2", "-4"),
        ("2**-3", "0.125"),
        ("1/3", "1/3 (about 0.333333333333)"),
        ("7 // 2 + 7 % 2", "4"),
        ("max(3, 4.5, 2) - abs(-1)", "3.5"),
        ("round(2/3, 3) + floor(1.5) + ceil(1.5)", "3.667"),
        ("1e3 + .5", "1000.5"),
        ("0 * 5.", "0"),
        ("(-1) ** 1000001 + 1 ** 99999999 + 0 ** 0", "1"),
        ("-1/2", "-0.5"),
        ("+".join(["1"] * 249), "249"),
    ],
)
def test_known_values(text, result):
    assert written(evaluate(text)) == result


@pytest.mark.parametrize(
    "text",
    [
        "", "=", "2 +", "(1", "9**9**9**9", "10**10000", "2**0.5", "1/0", "0**-1", "5 % 0", "1e9999",
        "1" * (MOST_CHARS + 1), "-" * 499 + "1", "(" * 250 + "1" + ")" * 250, "(" * 499, "0777", "1,234",
        "abs", "abs()", "abs(1, 2)", "round(1, 999)", "round(1, 0.5)", "max(*1)", "1or 2", "1if 1 else 2",
        "0x10", "1_000", "True", "'a' * 9", "__import__('os')", "abs.__class__", "(1)(2)", "1 if 1 else 2",
        "lambda: 1", "[1]", "1j", "3 > 2", "1\x00", "１+１", "min(x=1)", "1;2", "1 << 9999999",
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_refused(text):
    with pytest.raises(InvalidRequest):
        evaluate(text)


def test_the_largest_numbers_are_still_written():
    assert len(written(evaluate("10**1000"))) == 1001
    tiny = written(evaluate("1 / 3**2000"))
    assert tiny.startswith("1/")
    assert tiny.endswith("(about 0.572124519477e-954)")


async def test_the_tool_answers_with_the_value():
    seen = await Calculator().call({"expression": "6*7"})
    assert (seen.text, seen.ok) == ("42", True)
