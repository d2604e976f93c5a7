"""The law of restarts: never more than `intensity` of them within any `period_s`."""

from hypothesis import given
from hypothesis import strategies as st

from tests.clock import Clock
from zoran_ray.agents.restarts import Restarts

GAPS = st.lists(st.integers(0, 30), max_size=60)
# Whole seconds: their differences are exact.


@given(st.integers(0, 5), st.integers(1, 40), GAPS)
def test_never_more_restarts_within_a_period_than_allowed(intensity, period_s, gaps):
    clock, restarted = Clock(), []
    restarts = Restarts(intensity, period_s, clock)
    for gap in gaps:
        clock.now += gap
        if restarts.given_up_s > 0:
            continue  # it does not run, so it cannot die
        if restarts.died():
            restarted.append(clock.now)
    for place, at in enumerate(restarted):
        within = [other for other in restarted[: place + 1] if other > at - period_s]
        assert len(within) <= intensity


@given(st.integers(0, 5), st.integers(1, 40), GAPS)
def test_given_up_for_a_period_and_then_not_any_more(intensity, period_s, gaps):
    clock = Clock()
    restarts = Restarts(intensity, period_s, clock)
    for gap in gaps:
        clock.now += gap
        if restarts.given_up_s:
            continue
        if not restarts.died():
            assert restarts.given_up_s == period_s
            clock.now += period_s
            assert restarts.given_up_s == 0


def test_so_often_it_is_restarted_and_once_more_it_is_not():
    clock = Clock()
    restarts = Restarts(2, 10.0, clock)
    assert [restarts.died() for _ in range(3)] == [True, True, False]
    assert restarts.given_up_s == 10.0
    clock.now = 4.0
    assert restarts.given_up_s == 6.0
    restarts.pardon()
    assert restarts.given_up_s == 0.0
    assert restarts.died()


def test_deaths_of_long_ago_do_not_count():
    clock = Clock()
    restarts = Restarts(1, 10.0, clock)
    for _ in range(20):
        clock.now += 10.0
        assert restarts.died()
