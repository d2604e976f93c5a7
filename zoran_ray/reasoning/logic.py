"""Propositional logic as it is found in texts: rules between propositions, and what follows from them.

A rule says that one literal holds where some others hold together; a fact is a rule without premises. From
rules `extend` makes all that follows by double negation, contraposition, transitivity and modus ponens, in
an order that is always the same. Everything it makes holds wherever the rules hold. Knows no model.

Source: Liu et al., "Logic-of-Thought: Injecting Logic into Contexts for Full Reasoning in Large Language
Models" (NAACL 2025), the laws of its extension; here for conjunctions too.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

MOST_KNOWN = 256
"""Rules and facts together, given and derived, at which the extension ends."""
MOST_PREMISES = 3
"""Of a derived rule, unless a rule that it comes from has more."""

_NOT = re.compile(r"(?:¬|!|~|-|not\b)\s*", re.IGNORECASE)
_SYMBOL = re.compile(r"[A-Za-z]\w{0,31}", re.ASCII)


class Literal(NamedTuple):
    """A proposition or its negation.

    Attributes:
        symbol: Stands for the proposition.
        positive: False for its negation.
    """

    symbol: str
    positive: bool = True

    def __invert__(self) -> "Literal":
        return Literal(self.symbol, not self.positive)

    def __str__(self) -> str:
        return self.symbol if self.positive else f"¬{self.symbol}"


def read_literal(text: str) -> Literal:
    """A literal as people and models write it: `A`, `¬A`, `not A`, `not not A`.

    Raises:
        ValueError: It is none.
    """
    rest, positive = text.strip(), True
    while found := _NOT.match(rest):
        rest, positive = rest[found.end() :], not positive
    if not _SYMBOL.fullmatch(rest):
        raise ValueError(f"{text[:40]!r} is no letter of a proposition, nor 'not' and one.")
    return Literal(rest, positive)


class Rule(NamedTuple):
    """`then` holds where all of `given` hold; a fact where nothing is given. Make it with `rule`.

    Attributes:
        given: Sorted, each once.
        then: What follows.
    """

    given: tuple[Literal, ...]
    then: Literal

    def holds(self, model: Mapping[str, bool]) -> bool:
        """Whether it is true where propositions are true or false as the model says."""
        met = all(model[each.symbol] is each.positive for each in self.given)
        return not met or model[self.then.symbol] is self.then.positive

    def __str__(self) -> str:
        return f"{' ∧ '.join(map(str, self.given))} → {self.then}" if self.given else str(self.then)


def rule(given: Iterable[Literal], then: Literal) -> Rule | None:
    """The rule in the one form that is used here; None where it says nothing.

    `¬c` as a premise of `c` is left out: what follows from its own negation holds anyway.
    """
    premises = set(given) - {~then}
    if then in premises or any(~each in premises for each in premises):
        return None
    return Rule(tuple(sorted(premises)), then)


@dataclass(frozen=True, slots=True)
class Derived:
    """What follows, and by which law: `contraposition`, `transitivity` or `modus ponens`."""

    rule: Rule
    law: str


@dataclass(frozen=True, slots=True)
class Extension:
    """What follows from rules.

    Attributes:
        derived: Facts first, then rules by their number of premises; nothing that was given, nothing that
            another one says already.
        contradictory: The rules contradict each other; nothing is derived then.
        capped: There may be more than was derived.
    """

    derived: tuple[Derived, ...] = ()
    contradictory: bool = False
    capped: bool = False


def extend(given: Sequence[Rule], most: int = MOST_KNOWN) -> Extension:
    """Everything that follows, as far as `most` rules and facts reach.

    Args:
        given: Rules and facts.
        most: How many there may be in the end, the given ones included.
    """
    closure = _Closure(given, most)
    closure.complete()
    if closure.contradictory:
        return Extension(contradictory=True, capped=closure.capped)
    derived = [Derived(each, law) for each, law in closure.known.items() if law and not closure.weak(each)]
    derived.sort(key=lambda each: (len(each.rule.given), each.law == "contraposition"))
    return Extension(tuple(derived), capped=closure.capped)


class _Closure:
    def __init__(self, given: Sequence[Rule], most: int) -> None:
        self.known: dict[Rule, str] = {}
        self.capped = self.contradictory = self._full = False
        self._most = most
        self._facts: set[Literal] = set()
        self._by_then: dict[Literal, list[Rule]] = {}
        self._by_premise: dict[Literal, list[Rule]] = {}
        self._pending: list[tuple[int, int, Rule]] = []
        for each in sorted(given, key=lambda each: len(each.given)):
            self._learn(each, "")

    def complete(self) -> None:
        # What has the fewest premises goes first: facts are worth more than rules, and make fewer of them.
        while self._pending and not self.contradictory and not self._full:
            each = heappop(self._pending)[2]
            for made, law in (*_contrapositions(each), *self._joined(each)):
                self._learn(made, law)

    def weak(self, each: Rule) -> bool:
        """Whether something else that is known says the same and more."""
        # As "not all of these": what another rule says is stronger if it forbids fewer of them together.
        if each.given and (each.then in self._facts or any(~one in self._facts for one in each.given)):
            return True
        if len(each.given) < 2:
            return False
        forbidden = {*each.given, ~each.then}
        return any(
            len(other.given) < len(each.given) and forbidden.issuperset(other.given)
            for literal in forbidden
            for other in self._by_then.get(~literal, ())
        )

    def _learn(self, each: Rule | None, law: str) -> None:
        if each is None or each in self.known or self.weak(each):
            return
        if len(self.known) >= self._most:
            self.capped = self._full = True
            return
        self.known[each] = law
        self._by_then.setdefault(each.then, []).append(each)
        for premise in each.given:
            self._by_premise.setdefault(premise, []).append(each)
        heappush(self._pending, (len(each.given), len(self.known), each))
        if not each.given:
            self._facts.add(each.then)
            self.contradictory = self.contradictory or ~each.then in self._facts

    def _joined(self, each: Rule) -> Iterator[tuple[Rule | None, str]]:
        """What follows from a rule and another that begins where it ends, or ends where it begins."""
        for later in tuple(self._by_premise.get(each.then, ())):
            yield self._chain(each, later)
        for premise in each.given:
            for earlier in tuple(self._by_then.get(premise, ())):
                yield self._chain(earlier, each)

    def _chain(self, first: Rule, second: Rule) -> tuple[Rule | None, str]:
        """`P → b` and `Q ∧ b → c` give `P ∧ Q → c`."""
        made = rule((*first.given, *(each for each in second.given if each != first.then)), second.then)
        if made and len(made.given) > max(MOST_PREMISES, len(first.given), len(second.given)):
            self.capped = True
            return None, ""
        return made, "transitivity" if first.given else "modus ponens"


def _contrapositions(each: Rule) -> Iterator[tuple[Rule | None, str]]:
    """`p ∧ Q → c` gives `¬c ∧ Q → ¬p`, for each premise p."""
    for premise in each.given:
        others = (other for other in each.given if other != premise)
        yield rule((~each.then, *others), ~premise), "contraposition"
