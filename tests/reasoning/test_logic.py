"""What is derived holds wherever its premises hold; what must follow is found; the order never changes."""

from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoran_ray.reasoning.logic import Literal, Rule, extend, read_literal, rule

SYMBOLS = "ABCDE"
literals = st.builds(Literal, st.sampled_from(SYMBOLS), st.booleans())


def rules_of(premises):
    made = st.builds(rule, st.lists(literals, max_size=premises), literals)
    return made.filter(lambda each: each is not None)


some_rules = st.lists(rules_of(3), max_size=8)
simple_rules = st.lists(rules_of(1), max_size=8)


def models(rules, symbols=SYMBOLS):
    """The rows of the truth table in which all rules hold."""
    for row in product([False, True], repeat=len(symbols)):
        model = dict(zip(symbols, row, strict=True))
        if all(each.holds(model) for each in rules):
            yield model


@given(some_rules)
def test_everything_derived_holds_in_every_model_of_the_premises(rules):
    extension = extend(rules)
    possible = list(models(rules))
    if extension.contradictory:
        assert not possible
        assert not extension.derived
    for model in possible:
        assert all(each.rule.holds(model) for each in extension.derived)


@given(some_rules, st.integers(1, 20))
def test_a_cap_leaves_it_sound_and_short(rules, most):
    extension = extend(rules, most)
    assert len(extension.derived) <= most
    for model in models(rules):
        assert all(each.rule.holds(model) for each in extension.derived)


@settings(deadline=None)
@given(simple_rules)
def test_of_rules_with_one_premise_everything_that_follows_is_found(rules):
    extension = extend(rules)
    possible = list(models(rules))
    assert extension.contradictory is (not possible)
    assert not extension.capped
    known = [*rules, *(each.rule for each in extension.derived)]
    for first, second in product([Literal(s, p) for s in SYMBOLS for p in (True, False)], repeat=2):
        follows = rule([first], second)
        if possible and follows and all(follows.holds(model) for model in possible):
            weaker = [Rule((), second), Rule((), ~first), follows]
            assert any(each in known for each in weaker), follows


@given(st.lists(rules_of(3), max_size=8))
def test_every_fact_of_positive_rules_is_found(rules):
    positive = [
        rule([Literal(each.symbol) for each in made.given], Literal(made.then.symbol)) for made in rules
    ]
    positive = [each for each in positive if each]
    facts: set[Literal] = set()
    while more := {each.then for each in positive if set(each.given) <= facts} - facts:
        facts |= more
    extension = extend(positive)
    found = {each.then for each in positive if not each.given}
    found |= {each.rule.then for each in extension.derived if not each.rule.given}
    assert found == facts


@given(some_rules)
def test_nothing_is_said_twice(rules):
    derived = [each.rule for each in extend(rules).derived]
    assert len(set(derived)) == len(derived)
    assert not set(derived) & set(rules)
    facts = {each.then for each in (*rules, *derived) if not each.given}
    for each in derived:
        assert not (each.given and each.then in facts)
        assert not any(~premise in facts for premise in each.given)


@given(some_rules)
def test_the_same_rules_give_the_same_in_the_same_order(rules):
    assert extend(rules) == extend(list(rules))
    counts = [len(each.rule.given) for each in extend(rules).derived]
    assert counts == sorted(counts)


def chain(*symbols):
    return [Rule((Literal(first),), Literal(second)) for first, second in pairwise(symbols)]


def said(extension):
    return [(str(each.rule), each.law) for each in extension.derived]


def test_the_example_of_the_paper():
    """¬A → ¬B and ¬B → ¬C give ¬A → ¬C, and the three the other way round."""
    rules = [rule([~Literal("A")], ~Literal("B")), rule([~Literal("B")], ~Literal("C"))]
    assert said(extend(rules)) == [
        ("¬A → ¬C", "transitivity"),
        ("C → A", "transitivity"),
        ("B → A", "contraposition"),
        ("C → B", "contraposition"),
    ]


def test_facts_go_along_chains_both_ways():
    rules = chain("A", "B", "C")
    assert said(extend([*rules, Rule((), Literal("A"))])) == [("B", "modus ponens"), ("C", "modus ponens")]
    backwards = extend([*rules, Rule((), ~Literal("C"))])
    assert {str(each.rule) for each in backwards.derived} == {"¬A", "¬B"}


def test_conjunctions_need_all_of_their_premises():
    both = Rule((Literal("A"), Literal("B")), Literal("C"))
    one = extend([both, Rule((), Literal("A"))])
    assert said(one) == [("B → C", "modus ponens"), ("¬C → ¬B", "contraposition")]
    assert said(extend([both, Rule((), Literal("A")), Rule((), Literal("B"))])) == [("C", "modus ponens")]


def test_what_follows_from_its_own_negation_holds():
    assert rule([~Literal("A")], Literal("A")) == Rule((), Literal("A"))


def test_what_says_nothing_is_no_rule():
    assert rule([Literal("A")], Literal("A")) is None
    assert rule([Literal("A"), ~Literal("A")], Literal("B")) is None


def test_a_contradiction_derives_nothing():
    extension = extend([*chain("A", "B"), Rule((), Literal("A")), Rule((), ~Literal("B"))])
    assert extension.contradictory
    assert not extension.derived


def test_a_long_chain_is_capped():
    extension = extend(chain(*(f"P{number}" for number in range(60))), most=100)
    assert extension.capped
    assert len(extension.derived) == 41


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("A", Literal("A")),
        ("¬A", ~Literal("A")),
        (" not  A ", ~Literal("A")),
        ("!~A", Literal("A")),
        ("NOT not P_1", Literal("P_1")),
        ("not A", ~Literal("A")),
        ("notA", Literal("notA")),
    ],
)
def test_double_negation_is_gone_when_a_literal_is_read(text, literal):
    assert read_literal(text) == literal


@pytest.mark.parametrize("text", ["", "not", "not ", "A or B", "1", "A B", "é", "A" * 40, "¬" * 2000])
def test_what_is_no_literal_is_refused(text):
    with pytest.raises(ValueError, match="letter"):
        read_literal(text)
