"""Chains of implications: extraction as JSON, and answers with and without the facts that follow.

Two chains lead to one question with opposite answers; only one begins with what is so, and half of the
rules are written as their contraposition. So nothing in the question's neighbourhood gives the answer away.
"""

import json
import random
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from benchmarks.reasoning.tasks.task import Instance, Lesson, recorded, right_answer
from zoran_ray.reasoning.answers import MARKER
from zoran_ray.reasoning.cot import ChainOfThought
from zoran_ray.reasoning.lot import LogicOfThought
from zoran_ray.reasoning.lot_text import Logic, Malformed, read_logic

LENGTHS = (1, 2, 3)
"""Rules of each chain, by level."""
_NAMES = ("ann", "bob", "cid", "dan", "eve", "fay", "gus", "hal", "ida", "jim", "kay", "leo")
_VERBS = ("sings", "runs", "naps", "reads", "cooks", "swims", "draws", "waits")
SYMBOLS = "ABCDEFGHIJKL"
STATEMENTS = tuple(f"{name} {verb}" for name in _NAMES for verb in _VERBS)
"""All that can be so or not."""


class Said(NamedTuple):
    """A statement or its negation."""

    statement: str
    positive: bool = True

    def __invert__(self) -> "Said":
        return Said(self.statement, not self.positive)

    def __str__(self) -> str:
        return self.statement if self.positive else f"not {self.statement}"


class ImplicationsTask:
    """Say whether something is so."""

    name = "implications"
    levels = len(LENGTHS)

    def draw(self, rng: random.Random, level: int) -> Instance:
        """As `Task`."""
        length = LENGTHS[level - 1]
        statements = [f"{name} {rng.choice(_VERBS)}" for name in rng.sample(_NAMES, 2 * length + 1)]
        asked, answer = statements.pop(), rng.random() < 0.5
        chains = [
            [*(Said(each, rng.random() < 0.5) for each in part), Said(asked, end)]
            for part, end in ((statements[:length], answer), (statements[length:], not answer))
        ]
        rules = [_written(pair, rng) for chain in chains for pair in pairwise(chain)]
        rng.shuffle(rules)
        facts = [chains[0][0], ~chains[1][0]]
        rng.shuffle(facts)
        lines = [f"If {given}, then {then}." for given, then in rules] + [f"{fact}." for fact in facts]
        question = f"{' '.join(lines)} Is it so that {asked}?"
        verifier = {"kind": "exact", "expected": "yes" if answer else "no"}
        return Instance("implications", level, _key(lines, asked), question, verifier)

    def lessons(self, instance: Instance, rng: random.Random) -> list[Lesson]:
        """As `Task`: the logic as JSON, the answer once what follows is told, a chain of thought."""
        text = read(instance.question)
        logic = _as_json(*text[:2])
        answer = f"{MARKER} {instance.verifier['expected']}"
        extraction, with_facts = recorded(LogicOfThought(), instance.messages, [logic, answer])
        plain = ChainOfThought().prompt(instance.messages)
        right = {"right": right_answer(instance)}
        return [
            Lesson("implications.logic", extraction.messages, logic, {"same": partial(_same, logic)}),
            Lesson("implications.derived", with_facts.messages, answer, right),
            Lesson("implications.plain", plain, f"{thought(*text)}\n{answer}", right),
        ]


Rules = list[tuple[Said, Said]]


def read(question: str) -> tuple[Rules, list[Said], str]:
    """Rules, facts and what is asked, of a question as `draw` writes it."""
    body, _, asked = question.rpartition(" Is it so that ")
    rules, facts = [], []
    for line in body.removesuffix(".").split(". "):
        if line.startswith("If "):
            given, _, then = line.removeprefix("If ").partition(", then ")
            rules.append((_said(given), _said(then)))
        else:
            facts.append(_said(line))
    return rules, facts, asked.removesuffix("?")


def thought(rules: Rules, facts: list[Said], asked: str) -> str:
    """The way from a fact to what is asked, a line a step."""
    ways = [(fact, [str(fact)]) for fact in facts]
    implied = [*rules, *((~then, ~given) for given, then in rules)]
    seen = {fact for fact, _ in ways}
    while ways:
        so, way = ways.pop(0)
        if so.statement == asked:
            return "\n".join(way)
        for given, then in implied:
            if given == so and then not in seen:
                seen.add(then)
                ways.append((then, [*way, f"so {then}"]))
    raise ValueError("nothing leads to what is asked")


def _written(pair: tuple[Said, Said], rng: random.Random) -> tuple[Said, Said]:
    given, then = pair
    return (given, then) if rng.random() < 0.5 else (~then, ~given)


def _said(text: str) -> Said:
    return Said(text.removeprefix("not "), not text.startswith("not "))


def _key(lines: list[str], asked: str) -> str:
    return f"implications {' '.join(sorted(lines))} {asked}?"


def _as_json(rules: Rules, facts: list[Said]) -> str:
    order = dict.fromkeys(each.statement for each in (*(s for rule in rules for s in rule), *facts))
    symbols = dict(zip(order, SYMBOLS, strict=False))

    def letter(said: Said) -> str:
        return symbols[said.statement] if said.positive else f"not {symbols[said.statement]}"

    found = {
        "propositions": {symbol: statement for statement, symbol in symbols.items()},
        "rules": [{"if": [letter(given)], "then": [letter(then)]} for given, then in rules],
        "facts": [letter(fact) for fact in facts],
    }
    return json.dumps(found)


def _same(expected: str, said: str) -> bool:
    """Whether a model found the same rules between the same statements, whatever letters it took."""
    try:
        return _spelt(read_logic(said)) == _spelt(read_logic(expected))
    except Malformed:
        return False


def _spelt(logic: Logic) -> set[tuple[frozenset[tuple[str, bool]], tuple[str, bool]]]:
    def spelt(literal: tuple[str, bool]) -> tuple[str, bool]:
        return logic.statements[literal[0]], literal[1]

    return {(frozenset(map(spelt, rule.given)), spelt(rule.then)) for rule in logic.rules}
