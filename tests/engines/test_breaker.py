"""The laws of the circuit breaker, against a model that remembers everything."""

import asyncio
import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.clock import Clock
from zoran_ray.engines.breaker import SLOTS, Breaker, BreakerPolicy, arms_fault
from zoran_ray.errors import (
    DeadlineExceeded,
    InvalidRequest,
    Overloaded,
    ProviderBusy,
    ProviderRefused,
    Unavailable,
    Unreachable,
    UpstreamError,
)

POLICY = BreakerPolicy(
    window_s=10.0, least_results=4, failure_share=0.5, open_s=5.0, most_open_s=30.0, probes=2
)


class Laws(RuleBasedStateMachine):
    """Remembers every result with its time, and says on its own what the breaker must be."""

    @initialize(least=st.integers(1, 5), share=st.sampled_from([0.2, 0.5, 1.0]), probes=st.integers(1, 3))
    def start(self, least, share, probes):
        self.policy = BreakerPolicy(10.0, least, share, 5.0, 30.0, probes)
        self.now = 1000.0
        self.breaker = Breaker("x/y", lambda: self.now, self.policy)
        self.state, self.period = "closed", 0
        self.results = []  # (time, good) since it was last closed
        self.opened = 0  # times in a row
        self.until = -math.inf
        self.probing = self.good = 0
        self.running = []  # calls and the period they began in

    def look(self):
        if self.state == "open" and self.now >= self.until:
            self.change("half_open")
            self.probing = self.good = 0

    def change(self, state):
        self.state, self.results = state, []
        self.period += 1

    def trip(self):
        self.until = self.now + min(5.0 * 2**self.opened, 30.0)
        self.opened += 1
        self.change("open")

    def counted(self):
        slot = math.floor(self.now / 10 * SLOTS) - SLOTS
        return [good for at, good in self.results if math.floor(at / 10 * SLOTS) >= slot]

    @rule(seconds=st.one_of(st.floats(0, 3), st.floats(0, 40)))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def begin(self):
        self.look()
        lets = self.state == "closed" or (self.state == "half_open" and self.probing < self.policy.probes)
        if not lets:
            with pytest.raises(Unavailable) as refused:
                self.breaker.begin()
            assert refused.value.retry_after_s > 0
            return
        self.running.append((self.breaker.begin(), self.period))
        self.probing += self.state == "half_open"

    @rule(
        n=st.integers(0, 9), how=st.sampled_from(["succeeded", "failed", "abandoned"]), again=st.booleans()
    )
    def end(self, n, how, again):
        if not self.running:
            return
        call, period = self.running.pop(n % len(self.running))
        self.look()
        if period == self.period:
            self.take(how)
        # Until somebody looks, an open breaker does not know that its time is over; nothing hangs on it.
        getattr(call, how)()
        if again:
            call.failed()
            call.succeeded()

    def take(self, how):
        if self.state == "half_open":
            self.probing -= 1
            if how == "failed":
                self.trip()
            elif how == "succeeded":
                self.good += 1
                if self.good == self.policy.probes:
                    self.change("closed")
                    self.opened = 0
        elif how != "abandoned":
            self.results.append((self.now, how == "succeeded"))
            counted = self.counted()
            bad = counted.count(False)
            if (
                bad
                and len(counted) >= self.policy.least_results
                and bad >= self.policy.failure_share * len(counted)
            ):
                self.trip()

    @invariant()
    def agrees(self):
        if not hasattr(self, "breaker"):
            return
        self.look()
        assert self.breaker.state == self.state
        assert self.breaker.usable == (
            self.state == "closed" or (self.state == "half_open" and self.probing < self.policy.probes)
        )
        assert 0 <= self.probing <= self.policy.probes
        if self.state == "closed":
            counted = self.counted()
            assert self.breaker.failures() == (counted.count(False), len(counted))


TestLaws = Laws.TestCase
TestLaws.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker("x/y", clock, POLICY)


def fail(breaker, error=UpstreamError):
    with pytest.raises(error), breaker.watch():
        raise error("x")


def test_a_stream_that_breaks_off_is_a_failure_not_a_success(breaker):
    calls = [breaker.begin() for _ in range(4)]
    assert breaker.failures() == (0, 0)  # nothing is counted while the answers run
    for call in calls:
        call.failed()
    assert breaker.state == "open"
    assert not breaker.usable


def test_open_refuses_half_open_probes_closed_lets_all_through(breaker, clock):
    for _ in range(4):
        fail(breaker)
    with pytest.raises(Unavailable, match="x/y") as refused, breaker.watch():
        pytest.fail("must not be asked")
    assert refused.value.retry_after_s == 5.0
    clock.now = 5.0
    first, second = breaker.begin(), breaker.begin()
    assert not breaker.usable
    with pytest.raises(Unavailable):
        breaker.begin()
    first.succeeded()
    assert breaker.state == "half_open"
    second.succeeded()
    assert breaker.state == "closed"


def test_each_time_for_twice_as_long_up_to_the_most(breaker, clock):
    for _ in range(4):
        fail(breaker)
    for wait_s in (5.0, 10.0, 20.0, 30.0, 30.0):
        clock.now += wait_s - 0.5
        assert breaker.state == "open"
        clock.now += 0.5
        assert breaker.state == "half_open"
        fail(breaker)


def test_a_probe_whose_client_left_makes_room_for_another(breaker, clock):
    for _ in range(4):
        fail(breaker)
    clock.now = 5.0
    calls = [breaker.begin(), breaker.begin()]
    calls[0].abandoned()
    assert breaker.usable
    assert breaker.state == "half_open"


def test_an_answer_begun_before_it_opened_does_not_close_it(breaker, clock):
    old = breaker.begin()
    for _ in range(4):
        fail(breaker)
    clock.now = 5.0
    assert breaker.state == "half_open"
    old.failed()
    assert breaker.state == "half_open"


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (UpstreamError("x"), True),
        (ProviderBusy("x"), True),
        (ProviderRefused("x"), True),
        (DeadlineExceeded("x"), True),
        (Unreachable("x"), True),
        (KeyError("our reading of its answer"), True),
        (InvalidRequest("x"), False),
        (Overloaded("x"), False),
        (asyncio.CancelledError(), False),
        (GeneratorExit(), False),
    ],
)
def test_whose_fault_it_is(breaker, error, fault):
    assert arms_fault(error) is fault
    with pytest.raises(type(error)), breaker.watch():
        raise error
    assert breaker.failures() == (int(fault), int(fault))


def test_somebody_else_may_say_whose_fault_it_is(breaker):
    with pytest.raises(DeadlineExceeded), breaker.watch(lambda error: False):
        raise DeadlineExceeded("x")
    assert breaker.failures() == (0, 0)


def test_how_long_it_stays_out(breaker, clock):
    assert breaker.wait_s == 0
    for _ in range(4):
        fail(breaker)
    clock.now = 2.0
    assert breaker.wait_s == 3.0
    with pytest.raises(Unavailable):
        breaker.check()
    clock.now = 5.0
    breaker.check()
    calls = [breaker.begin(), breaker.begin()]
    assert breaker.wait_s > 0, "no more than the probes are let through"
    for call in calls:
        call.succeeded()
    assert breaker.wait_s == 0
