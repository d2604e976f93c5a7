"""How Logic-of-Thought asks for the logic of a text, reads it, and says in words what follows. Pure.

What a model writes may be anything: it is bounded before it is read.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from zoran_ray.reasoning.logic import Derived, Literal, Rule, read_literal, rule
from zoran_ray.reasoning.thought_first import without_thought

EXTRACT = """\
Do not answer yet. First find the logic in the text above. Write it as one JSON object and nothing else:
{"propositions": {"A": "the tap is open", "B": "water runs", "C": "the drain works", "D": "the sink fills"},
 "rules": [{"if": ["A"], "then": ["B"]}, {"if": ["B", "not C"], "then": ["D"]}],
 "facts": ["A", "not D"]}
- propositions: short statements without "not", each with a letter of its own.
- rules: what follows from what, as the text says it. "not A" is the opposite of A. Where "if" has
  several, all of them are needed.
- facts: what is so, as the text says it. What is only asked is no fact.
Where the text has no rules, write "rules": []."""

REPAIR = "That cannot be used: {why} Write the whole JSON object again, and nothing else."

DERIVED = "What follows by logic from the statements above:\n{facts}"

MOST_PROPOSITIONS = 64
MOST_RULES = 96
"""Rules and facts together."""
MOST_CONJUNCTS = 8
MOST_STATEMENT_CHARS = 200
MOST_SENTENCES = 40
"""That a model is told of, the first ones that were derived."""
_MOST_CHARS = 50_000
_MOST_STARTS = 20

_AND = re.compile(r"\s+and\s+|[&∧,]", re.IGNORECASE)


class Malformed(ValueError):
    """What the model wrote is not the logic of a text; says why, in words for the model."""


@dataclass(frozen=True, slots=True)
class Logic:
    """What was found in a text.

    Attributes:
        statements: What each symbol stands for.
        rules: Rules and facts, in their order.
    """

    statements: Mapping[str, str] = field(repr=False)
    rules: tuple[Rule, ...] = field(repr=False)

    @property
    def has_rules(self) -> bool:
        """Whether anything can follow from it."""
        return any(each.given for each in self.rules)


def read_logic(text: str) -> Logic:
    """The logic that a model wrote as JSON, whatever stands around it.

    Raises:
        Malformed: There is none, or too much.
    """
    found = _object(text)
    statements = _statements(found.get("propositions"))
    rules = [*_rules(found.get("rules")), *(((), fact) for fact in _conjuncts(found.get("facts")))]
    if len(rules) > MOST_RULES:
        raise Malformed(f"there are more than {MOST_RULES} rules and facts.")
    read = [made for given, then in rules if (made := rule(given, then))]
    for literal in (literal for each in read for literal in (*each.given, each.then)):
        if literal.symbol not in statements:
            raise Malformed(f"{literal.symbol} stands in a rule or fact, but not in the propositions.")
    return Logic(statements, tuple(dict.fromkeys(read)))


def sentences(derived: Iterable[Derived], statements: Mapping[str, str]) -> list[str]:
    """What was derived, in words; at most `MOST_SENTENCES`."""
    return [_sentence(each.rule, statements) for each in islice(derived, MOST_SENTENCES)]


def _sentence(each: Rule, statements: Mapping[str, str]) -> str:
    then = _words(each.then, statements)
    if not each.given:
        return f"{then[0].upper()}{then[1:]}."
    return f"If {' and '.join(_words(literal, statements) for literal in each.given)}, then {then}."


def _words(literal: Literal, statements: Mapping[str, str]) -> str:
    said = statements[literal.symbol]
    return said if literal.positive else f"it is not the case that {said}"


def _object(text: str) -> dict[str, Any]:
    """The first JSON object in a text that looks like what was asked for."""
    said = without_thought(text)[:_MOST_CHARS]
    place, decoder = -1, json.JSONDecoder()
    for _ in range(_MOST_STARTS):
        place = said.find("{", place + 1)
        if place < 0:
            break
        try:
            found, _ = decoder.raw_decode(said, place)
        except (ValueError, RecursionError):
            continue
        if "propositions" in found or "rules" in found:
            return dict(found)
    raise Malformed("it is not one JSON object with propositions, rules and facts.")


def _statements(found: object) -> dict[str, str]:
    if not isinstance(found, dict) or len(found) > MOST_PROPOSITIONS:
        raise Malformed(f'"propositions" must be an object of at most {MOST_PROPOSITIONS} letters.')
    statements = {}
    for symbol, said in found.items():
        literal = _literal(symbol)
        words = (
            " ".join(said.split()).rstrip(".!?;, ")[:MOST_STATEMENT_CHARS] if isinstance(said, str) else ""
        )
        if not literal.positive or not words:
            raise Malformed(f"the proposition {symbol[:40]!r} must be one letter and a statement.")
        statements[literal.symbol] = words
    return statements


def _rules(found: object) -> list[tuple[Sequence[Literal], Literal]]:
    if not isinstance(found, list | None) or len(found or ()) > MOST_RULES:
        raise Malformed(f'"rules" must be a list of at most {MOST_RULES}.')
    rules: list[tuple[Sequence[Literal], Literal]] = []
    for each in found or ():
        if not isinstance(each, dict) or not {"if", "then"} <= each.keys():
            raise Malformed('each rule must be an object with "if" and "then".')
        given = _conjuncts(each["if"])
        if len(given) > MOST_CONJUNCTS:
            raise Malformed(f'"if" holds more than {MOST_CONJUNCTS}.')
        rules += ((given, then) for then in _conjuncts(each["then"]))
    return rules


def _conjuncts(found: object) -> list[Literal]:
    """The literals of a list, or of one string such as `A and not B`."""
    parts: list[Any] = found if isinstance(found, list) else [found] if found else []
    if len(parts) > MOST_RULES or not all(isinstance(part, str) for part in parts):
        raise Malformed('"if", "then" and "facts" must be short lists of strings such as "A" or "not A".')
    return [_literal(word) for part in parts for word in _AND.split(part[:1000])]


def _literal(text: str) -> Literal:
    try:
        return read_literal(text)
    except ValueError as error:
        raise Malformed(str(error)) from error
