"""A pattern of a policy takes a bounded number of steps from each place of a text, or is refused."""

import importlib
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.policy.patterns import MAX_PATTERN, MOST_STEPS, compiled, most_steps

REFUSED = [
    "(a+)+b", "a*b", "(a|a)*b", "(a{1,50}){1,50}b", "(?:a?){500}", ".*", "(a)\\1", "(?P<x>a)(?P=x)",
    "a{0,1001}",
    "(x)?(?(1)a|b)", "a{0,99}a{0,99}a{0,99}b", "(((a{0,9}){0,9}){0,9}){0,9}", "[", "(", "a{2,1}",
    "x" * (MAX_PATTERN + 1),
    "(" * 300, "a{1,99999999999999999999}", "a{5000}+", "(?:a|b|ab){0,20}c",
]  # fmt: skip
TAKEN = [
    "AKIA[0-9A-Z]{16}", "[a-z]{8,64}+@", "(?:foo|bar)\\s{0,3}=", "\\bx\\b", "(?i:secret)", "^a$",
    "(?>a{1,9})b",
    "a(?=b)", "(?<!x)y", "a{0,100}?b", "", "x{3}",
]  # fmt: skip


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_could_take_long_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"regular expression|steps|characters"):
        compiled(pattern)


@pytest.mark.parametrize("pattern", TAKEN)
def test_what_is_bounded_is_taken(pattern: str) -> None:
    assert compiled(pattern).pattern == pattern


class Counting:
    """A backtracking matcher that counts its steps: the slow truth that the estimate must stay above."""

    def __init__(self, pattern: str, text: str) -> None:
        self.text, self.steps = text, 0
        self.tree = importlib.import_module("re._parser").parse(pattern)

    def search_all(self) -> int:
        """Most steps from any one place, all ways tried."""
        most = 0
        for place in range(len(self.text) + 1):
            self.steps = 0
            self._sequence(list(self.tree), place, lambda _: False)
            most = max(most, self.steps)
        return most

    def _sequence(self, parts: list[Any], place: int, then: Callable[[int], bool]) -> bool:
        if not parts:
            return then(place)
        (operation, argument), rest = parts[0], parts[1:]
        self.steps += 1
        return self._part(str(operation), argument, place, lambda end: self._sequence(rest, end, then))

    def _part(self, name: str, argument: Any, place: int, then: Callable[[int], bool]) -> bool:
        if name == "LITERAL":
            return self.text[place : place + 1] == chr(argument) and then(place + 1)
        if name == "BRANCH":
            return any(self._sequence(list(each), place, then) for each in argument[1])
        if name == "SUBPATTERN":
            return self._sequence(list(argument[3]), place, then)
        if name == "IN":
            chars = {chr(code) for _, code in argument}
            return self.text[place : place + 1] in chars and then(place + 1)
        assert name == "MAX_REPEAT"
        return self._repeat(*argument, place, then)

    def _repeat(self, least: int, most: int, body: Any, place: int, then: Callable[[int], bool]) -> bool:
        if most > 0:
            again = lambda end: self._repeat(max(least - 1, 0), most - 1, body, end, then)  # noqa: E731
            if self._sequence(list(body), place, again):
                return True
        return least == 0 and then(place)


_ATOMS = st.sampled_from(["a", "b", "ab"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    bounds = st.tuples(st.integers(0, 3), st.integers(0, 4))
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: f"(?:{'|'.join(each)})"),
        st.tuples(inner, bounds).map(lambda each: f"(?:{each[0]}){{{each[1][0]},{sum(each[1])}}}"),
    )


@given(st.recursive(_ATOMS, _grown, max_leaves=6), st.text("ab", max_size=12))
def test_no_search_takes_more_steps_than_were_counted(pattern: str, text: str) -> None:
    if (most := most_steps(pattern)) <= 10 * MOST_STEPS:
        assert Counting(pattern, text).search_all() <= most


@given(st.text(max_size=40))
def test_any_text_is_taken_or_refused(pattern: str) -> None:
    with suppress(ValueError):
        assert isinstance(compiled(pattern), re.Pattern)
