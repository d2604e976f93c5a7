"""The order of repositories that need each other: a law, and the cases that people meet."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.autopilot.pilot.order import ordered, reached


@st.composite
def needs(draw: st.DrawFn) -> list[frozenset[int]]:
    """Of up to eight repositories."""
    count = draw(st.integers(0, 8))
    places = st.frozensets(st.integers(0, count - 1), max_size=3) if count else st.nothing()
    return [draw(places) for _ in range(count)]


@given(needs())
def test_each_comes_after_what_it_needs_unless_that_needs_it(needs: list[frozenset[int]]) -> None:
    order, every = ordered(needs), reached(needs)
    assert sorted(order) == list(range(len(needs)))
    for here, each in enumerate(order):
        for other in every[each] - {each}:
            assert other in order[:here] or each in every[other]


@given(needs())
def test_who_need_each_other_stay_as_they_are_given(needs: list[frozenset[int]]) -> None:
    order, every = ordered(needs), reached(needs)
    for one, other in permutations(range(len(needs)), 2):
        if one < other and one in every[other] and other in every[one]:
            assert order.index(one) < order.index(other)


@given(needs())
def test_an_order_that_is_right_stays(needs: list[frozenset[int]]) -> None:
    order = ordered(needs)
    new = [frozenset(order.index(other) for other in needs[each]) for each in order]
    assert ordered(new) == list(range(len(needs)))


@given(needs())
def test_what_is_reached_is_needed_step_by_step(needs: list[frozenset[int]]) -> None:
    every = reached(needs)
    for each, found in enumerate(every):
        assert found == needs[each].union(*(every[other] for other in needs[each]))


@pytest.mark.parametrize(
    ("needs", "order"),
    [
        ([], []),
        ([{}, {}, {}], [0, 1, 2]),
        ([{1}, {}], [1, 0]),
        ([{2}, {0}, {}], [2, 0, 1]),
        ([{1}, {0}], [0, 1]),
        ([{1, 2}, {0}, {}], [2, 0, 1]),
        ([{}, {2}, {1}, {}], [0, 1, 2, 3]),
    ],
)
def test_some_orders(needs: list[set[int]], order: list[int]) -> None:
    assert ordered([frozenset(each) for each in needs]) == order
