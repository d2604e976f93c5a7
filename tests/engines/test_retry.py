"""One deadline, nothing after the first byte, an ordered chain, and jitter within its bounds."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clock import Clock
from zoran_ray.engines.retry import RetryPolicy, Tries
from zoran_ray.errors import (
    BudgetExceeded,
    DeadlineExceeded,
    InvalidRequest,
    ModelLoadError,
    NoArmFits,
    NoReplica,
    Overloaded,
    PermissionDenied,
    ProviderBusy,
    ProviderRefused,
    Unavailable,
    Unreachable,
    UpstreamError,
    ZoranError,
)

ALONE = RetryPolicy(most_tries=100)


def tries(arms="abc", deadline=200.0, clock=None, seed=0, **more):
    return Tries(arms, deadline, clock=clock or Clock(100.0), rng=random.Random(seed), **more)


class TopOfTheRange(random.Random):
    def uniform(self, a, b):
        return b


class World:
    """Arms that fail as the script says, on a clock that only sleeping and asking move."""

    def __init__(self, *script, took_s=0.0):
        self.script = list(script)
        self.clock = Clock(100.0)
        self.took_s = took_s
        self.asked = []
        self.slept = []
        self.began = False

    async def ask(self, arm):
        self.asked.append(arm)
        self.clock.now += self.took_s
        step = self.script.pop(0) if self.script else "answer"
        if isinstance(step, Exception):
            raise step
        return step

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.clock.now += seconds

    async def run(self, arms="abc", deadline=200.0, **more):
        attempt = tries(arms, deadline, self.clock, **more)
        return await attempt.run(self.ask, began=lambda: self.began, sleep=self.sleep)


async def test_a_first_answer_needs_no_second():
    world = World()
    assert await world.run() == "answer"
    assert (world.asked, world.slept) == (["a"], [])


async def test_the_same_arm_first_then_the_next_in_order():
    world = World(*[UpstreamError("x")] * 5)
    assert await world.run() == "answer"
    assert world.asked == ["a", "a", "a", "b", "b", "b"]
    assert len([s for s in world.slept if s > 0]) == 4


@pytest.mark.parametrize("error", [ProviderRefused, Overloaded, NoReplica, ModelLoadError, Unreachable])
async def test_what_waiting_cannot_mend_goes_to_the_next_at_once(error):
    world = World(error("x"), error("y"))
    assert await world.run() == "answer"
    assert (world.asked, world.slept) == (["a", "b", "c"], [])


@pytest.mark.parametrize("error", [ProviderRefused, Overloaded, NoReplica])
async def test_and_with_nobody_else_left_ends_at_once(error):
    world = World(error("x", retry_after_s=1.0))
    with pytest.raises(error):
        await world.run("a")
    assert (world.asked, world.slept) == (["a"], [])


@pytest.mark.parametrize("error", [InvalidRequest, BudgetExceeded, NoArmFits, PermissionDenied, ZoranError])
async def test_what_is_not_the_arms_fault_ends_at_once(error):
    world = World(error("x"))
    with pytest.raises(error):
        await world.run()
    assert world.asked == ["a"]


async def test_nothing_is_asked_again_once_the_client_has_something():
    world = World(UpstreamError("broke off"))
    world.began = True
    with pytest.raises(UpstreamError):
        await world.run()
    assert world.asked == ["a"]


async def test_an_unforeseen_error_passes_through():
    world = World(KeyError("bug"))
    with pytest.raises(KeyError):
        await world.run()


async def test_an_arms_own_deadline_is_not_the_requests():
    world = World(DeadlineExceeded("slow"), took_s=30)
    assert await world.run() == "answer"
    assert world.asked == ["a", "b"]
    world = World(*[DeadlineExceeded("slow")] * 9, took_s=30)
    with pytest.raises(DeadlineExceeded):
        await world.run("abcdefgh")
    assert world.asked == ["a", "b", "c", "d"]  # 30 s each, 100 s for all


async def test_a_long_wait_is_for_those_who_have_nobody_else():
    world = World(ProviderBusy("x", retry_after_s=30.0), ProviderBusy("y", retry_after_s=20.0))
    assert await world.run("ab") == "answer"
    assert world.asked == ["a", "b", "b"]
    assert len(world.slept) == 1
    assert 20 <= world.slept[0] <= 20.25


async def test_a_wish_beyond_the_deadline_ends_the_request():
    world = World(ProviderBusy("x", retry_after_s=100.0))
    with pytest.raises(ProviderBusy) as caught:
        await world.run("a")
    assert caught.value.retry_after_s == 100
    assert world.slept == []


@pytest.mark.parametrize("wish", [float("nan"), -5.0, 0.0, None])
async def test_a_wish_that_is_no_time_is_none(wish):
    world = World(ProviderBusy("x", retry_after_s=wish))
    assert await world.run("a") == "answer"
    assert 0 <= world.slept[0] <= 0.25


async def test_a_wish_for_ever_goes_elsewhere():
    world = World(ProviderBusy("x", retry_after_s=float("inf")))
    assert await world.run("ab") == "answer"
    assert world.asked == ["a", "b"]


async def test_tries_are_bounded_over_all_arms():
    world = World(*[ProviderRefused("x")] * 50)
    with pytest.raises(ProviderRefused):
        await world.run((f"arm{n}" for n in range(50)), policy=RetryPolicy(most_tries=8))
    assert len(world.asked) == 8


async def test_arms_are_taken_one_by_one():
    """The router chooses the next one when it is needed, knowing who has failed."""
    drawn = []

    def choose():
        for arm in "abc":
            drawn.append(arm)
            yield arm

    await World(ProviderRefused("x")).run(choose())
    assert drawn == ["a", "b"]


async def test_arms_out_of_the_choice_are_passed_over():
    world = World(ProviderRefused("x"))
    await world.run("abcd", usable=lambda arm: arm in "bd")
    assert world.asked == ["b", "d"]


async def test_an_arm_that_left_the_choice_is_not_waited_for():
    usable = {"a", "b"}
    world = World(UpstreamError("x"))
    attempt = tries("ab", clock=world.clock, usable=usable.__contains__)
    usable.discard("a")
    await attempt.run(world.ask, began=lambda: False, sleep=world.sleep)
    assert (world.asked, world.slept) == (["a", "b"], [])


def test_nobody_usable_is_told():
    for arms in ("", "abc"):
        with pytest.raises(Unavailable) as caught:
            tries(arms, usable=lambda arm: False)
        assert caught.value.retry_after_s > 0


def test_the_deadline_passed_ends_it():
    clock = Clock(100.0)
    attempt = tries(clock=clock)
    clock.now = 200.0
    error = UpstreamError("x")
    with pytest.raises(UpstreamError) as caught:
        attempt.after(error, began=False)
    assert caught.value is error


def test_waits_double_up_to_the_most():
    policy = RetryPolicy(tries_per_arm=10, most_tries=10, most_wait_s=2.0)
    attempt = Tries("a", 1e9, policy=policy, clock=Clock(100.0), rng=TopOfTheRange())
    waits = [attempt.after(UpstreamError("x"), began=False) for _ in range(6)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]
    assert attempt.count == 7


faults = st.one_of(
    st.builds(lambda s: ProviderBusy("x", retry_after_s=s), st.one_of(st.none(), st.floats(0, 60))),
    st.builds(lambda s: UpstreamError("x", retry_after_s=s), st.one_of(st.none(), st.floats(0, 60))),
    st.just(ProviderRefused("x")),
    st.just(Overloaded("x")),
)


@given(
    st.lists(faults, max_size=30),
    st.integers(1, 5),
    st.floats(0.1, 120),
    st.floats(0, 20),
    st.integers(0, 99),
)
async def test_laws_of_every_request(script, arms, patience, took_s, seed):
    world = World(*script, took_s=took_s)
    deadline = world.clock.now + patience
    failed = None
    try:
        await world.run(range(arms), deadline, policy=ALONE, seed=seed)
    except ZoranError as error:
        failed = error
    # No try begins after the deadline, and none is longer than its own time beyond it.
    assert world.clock.now <= deadline + took_s + 1e-6
    # In the order of the chain, never back, and each at most as often as allowed.
    assert world.asked == sorted(world.asked)
    assert all(world.asked.count(arm) <= ALONE.tries_per_arm for arm in range(arms))
    # The last word is the last error, or the answer.
    assert failed is None or failed is script[len(world.asked) - 1]


@given(st.floats(0, 50), st.integers(0, 999))
def test_a_wish_is_kept_and_spread(wish, seed):
    wait_s = tries("a", seed=seed).after(ProviderBusy("x", retry_after_s=wish), began=False)
    assert wish <= wait_s <= wish + 0.25
