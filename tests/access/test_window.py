"""The sliding window against a brute-force model, and its two promises."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.access.window import SlidingWindow

gaps = st.one_of(st.just(0.0), st.floats(0, 3), st.floats(0, 70), st.integers(0, 61).map(float))
steps = st.lists(
    st.tuples(gaps, st.sampled_from(["take", "charge", "back"]), st.integers(1, 12)), max_size=80
)
shapes = st.sampled_from([(60, 1.0), (122, 0.5), (3, 2.0)])


class BruteForce:
    """Every unit's time, looked through each time."""

    def __init__(self, limit: int, slots: int, slot_s: float) -> None:
        self.limit, self.slots, self.slot_s = limit, slots, slot_s
        self.taken: list[float] = []

    def counted(self, now: float) -> list[float]:
        oldest = math.floor(now / self.slot_s) - self.slots
        return [at for at in self.taken if math.floor(at / self.slot_s) >= oldest]

    def give_back(self, taken_at: float, n: int) -> None:
        slot = math.floor(taken_at / self.slot_s)
        same = [at for at in self.taken if math.floor(at / self.slot_s) == slot]
        for at in same[:n]:
            self.taken.remove(at)


@given(steps, st.integers(1, 30), shapes)
def test_equals_brute_force(steps, limit, shape):
    window, model, now, times = SlidingWindow(limit, *shape), BruteForce(limit, *shape), 0.0, [0.0]
    for i, (gap, what, n) in enumerate(steps):
        now += gap
        if what == "take":
            fits = len(model.counted(now)) + n <= limit
            assert window.take(now, n) is fits
            model.taken += [now] * (n if fits else 0)
        elif what == "charge":
            window.charge(now, n)
            model.taken += [now] * n
        else:
            taken_at = times[i % len(times)]
            window.give_back(taken_at, n)
            model.give_back(taken_at, n)
        times.append(now)
        assert window.used(now) == len(model.counted(now))
        assert window.free(now) == max(0, limit - window.used(now))


@given(st.lists(st.tuples(gaps, st.integers(1, 9)), max_size=80), st.integers(1, 30))
def test_no_sixty_seconds_hold_more_than_the_limit(wishes, limit):
    window, now, taken = SlidingWindow(limit), 0.0, []
    for gap, n in wishes:
        now += gap
        if window.take(now, n):
            taken.append((now, n))
    for end, _ in taken:
        assert sum(n for at, n in taken if end - 60 <= at <= end) <= limit


@given(st.lists(st.tuples(gaps, st.integers(1, 9)), max_size=40), st.integers(1, 30), st.data())
def test_reset_is_when_it_fits_and_not_a_slot_sooner(wishes, limit, data):
    window, now = SlidingWindow(limit), 0.0
    for gap, n in wishes:
        now += gap
        window.take(now, n)
    n = data.draw(st.integers(1, limit))
    wait = window.reset_s(now, n)
    assert wait <= 61
    if wait > 0:
        assert window.free(now) < n
        assert window.free(now + max(0.0, wait - 1e-6)) < n
    assert window.free(now + wait + 1e-6) >= n


def test_more_than_the_limit_never_fits():
    assert SlidingWindow(5).reset_s(0, 6) == math.inf


def test_charge_goes_above_the_limit_and_later_takes_wait():
    window = SlidingWindow(10)
    window.charge(0, 25)
    assert window.used(0) == 25
    assert window.free(0) == 0
    assert not window.take(0, 1)
    assert window.reset_s(0, 1) == 61
    assert window.take(61, 10)


@pytest.mark.parametrize(("held", "asked", "back"), [(5, 3, 3), (5, 9, 5)])
def test_give_back_never_gives_more_than_was_taken(held, asked, back):
    window = SlidingWindow(10)
    window.take(4, held)
    assert window.give_back(4.2, asked) == back
    assert window.used(4) == held - back
    assert window.give_back(7, 1) == 0
