"""Many gateways and one ledger on a virtual clock: the laws of the limits."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoran_ray.access.admission import UNLIMITED
from zoran_ray.access.leases import Ask
from zoran_ray.access.ledger import Ledger
from zoran_ray.access.limits import Limits
from zoran_ray.errors import RateLimited, Unavailable
from zoran_ray.messages import KeyInfo


def key(requests=None, tokens=None, key_id="k"):
    return KeyInfo(key_id, "name", "", requests_per_min=requests, tokens_per_min=tokens)


class World:
    """`k` gateways and a ledger; a call to the ledger takes `latency_s` of virtual time each way."""

    def __init__(self, k, latency_s=0.0):
        self.now = 1000.0
        self.latency_s = latency_s
        self.calls = 0
        self.broken = None
        self.ledger = Ledger(self.clock, "epoch")
        # A deadline in real time that no busy machine reaches: the clock of these worlds is virtual.
        self.gateways = [Limits(self.lease, self.clock, lambda: k, deadline_s=60) for _ in range(k)]
        self.admitted = []  # (time, tokens)

    def clock(self):
        return self.now

    async def lease(self, asks, settlements):
        self.calls += 1
        if self.broken is not None:
            await self.broken()
        await asyncio.sleep(0)
        self.now += self.latency_s
        grants = self.ledger.lease(asks, settlements)
        await asyncio.sleep(0)
        self.now += self.latency_s
        return grants

    async def admit(self, gateway, key, tokens=1):
        try:
            admission = await self.gateways[gateway].admit(key, tokens)
        except RateLimited:
            return None
        self.admitted.append((self.now, tokens))
        return admission

    async def flush(self):
        for gateway in self.gateways:
            await gateway.flush()

    def used(self, kind):
        """What the ledger counts for key `k`, read through an ask that always fits."""
        (grant,) = self.ledger.lease([Ask("k", kind, 1, 1, 10**9)])
        return 10**9 - grant.remaining - 1


def most_in_a_minute(admitted, units):
    times = [(at, units(tokens)) for at, tokens in admitted]
    return max((sum(n for at, n in times if end - 60 <= at <= end) for end, _ in times), default=0)


gaps = st.one_of(st.just(0.0), st.floats(0, 1.5), st.floats(0, 65))
arrivals = st.tuples(
    gaps, st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), max_size=8), st.booleans()
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(arrivals, max_size=40),
    st.integers(1, 300),
    st.integers(60, 3000),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.01, 0.1]),
)
def test_no_minute_ever_sees_more_than_the_limit(script, requests, tokens, k, latency_s):
    """Arbitrary interleavings: each step's arrivals run concurrently on any of the gateways."""

    async def run():
        world, caller = World(k, latency_s), key(requests, tokens)
        for gap, burst, flush in script:
            world.now += gap
            await asyncio.gather(*(world.admit(g % k, caller, n) for g, n in burst))
            if flush:
                await world.flush()
        assert most_in_a_minute(world.admitted, lambda _: 1) <= requests
        assert most_in_a_minute(world.admitted, lambda n: n) <= tokens

    asyncio.run(run())


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 600), st.integers(1, 8), st.floats(1.2, 3), st.randoms(use_true_random=False))
def test_demand_above_the_limit_gets_nearly_all_of_it(limit, k, excess, rng):
    async def run():
        world, caller, arrivals = World(k, 0.001), key(requests=limit), int(limit * excess) + 1
        weights = [rng.random() + 0.01 for _ in range(k)]
        times = sorted(1000 + rng.random() * 55 for _ in range(arrivals))
        for earlier, later in pairwise([1000.0, *times]):
            if int(later) > int(earlier):
                await world.flush()
            world.now = max(world.now, later)
            await world.admit(rng.choices(range(k), weights)[0], caller)
        assert len(world.admitted) <= limit
        assert len(world.admitted) >= (limit if limit < 40 * k else 0.95 * limit)

    asyncio.run(run())


@pytest.mark.parametrize(("limit", "k"), [(10, 3), (600, 4)])
def test_demand_above_the_limit_gets_nearly_all_of_it_for_long(limit, k):
    async def run():
        world, caller, minutes = World(k, 0.001), key(requests=limit), 10
        step = 60 / (limit * 2)
        for i in range(minutes * limit * 2):
            world.now = max(world.now, 1000 + i * step)
            if i % round(1 / step) == 0 if step < 1 else True:
                await world.flush()
            await world.admit(i % k, caller)
        assert most_in_a_minute(world.admitted, lambda _: 1) <= limit
        assert len(world.admitted) >= 0.95 * limit * minutes

    asyncio.run(run())


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1.0), st.integers(0, 3), st.integers(0, 300), st.integers(0, 500)),
        max_size=40,
    ),
    st.integers(1, 4),
    st.integers(300, 5000),
)
def test_settling_neither_loses_nor_makes_units(script, k, limit):
    async def run():
        world, caller, actually, running = World(k), key(requests=50, tokens=limit), 0, []
        for gap, gateway, estimate, actual in script:
            world.now += gap
            admission = await world.admit(gateway % k, caller, estimate)
            if admission is not None:
                running.append((admission, actual))
            if len(running) > 3:  # answers end later than they begin, and in between others begin
                admission, actual = running.pop(0)
                admission.settle(actual)
                actually += actual
        for admission, actual in running:
            admission.settle(actual)
            actually += actual
        world.now += 1
        await world.flush()
        assert world.used("tokens") == actually
        assert world.used("requests") == len(world.admitted)

    asyncio.run(run())


async def test_a_lease_spent_late_still_counts_for_a_whole_minute():
    world, caller = World(1), key(requests=600)
    await world.admit(0, caller)
    world.now += 0.9  # the rest of the first lease, and then of the limit
    while await world.admit(0, caller):
        pass
    assert len(world.admitted) == 600
    world.now = 1000 + 60.8
    assert await world.admit(0, caller) is None
    world.now = 1000 + 61.5
    assert await world.admit(0, caller) is not None
    assert most_in_a_minute(world.admitted, lambda _: 1) <= 600


async def test_keys_without_limits_cost_nothing():
    world = World(1)
    assert await world.gateways[0].admit(key(), 10**9) is UNLIMITED
    assert world.calls == 0


async def test_a_lease_covers_later_requests_without_a_call():
    world = World(1)
    for _ in range(30):
        await world.admit(0, key(requests=600))
    assert world.calls == 1
    await world.admit(0, key(requests=600))
    assert world.calls == 2


async def test_small_limits_go_unit_by_unit():
    world = World(2)
    await world.admit(0, key(requests=39))
    assert world.used("requests") == 1


async def test_one_call_leases_for_all_that_wait():
    world = World(1)
    got = await asyncio.gather(*(world.admit(0, key(requests=39)) for _ in range(50)))
    assert sum(a is not None for a in got) == 39
    assert world.calls <= 3


async def test_a_client_that_hammers_is_refused_locally():
    world, caller = World(1), key(requests=5)
    await asyncio.gather(*(world.admit(0, caller) for _ in range(5)))
    calls = world.calls
    for _ in range(1000):
        assert await world.admit(0, caller) is None
    assert world.calls == calls + 1


async def test_idle_leases_return_after_a_second():
    world = World(1)
    await world.admit(0, key(requests=6000))
    assert world.used("requests") == 300
    await world.gateways[0].flush()
    assert world.used("requests") == 301  # the probe's own
    world.now += 1
    await world.gateways[0].flush()
    assert world.used("requests") == 3


async def test_headers_tell_limit_rest_and_reset():
    world = World(1)
    admission = await world.admit(0, key(requests=10, tokens=1000), 100)
    assert dict(admission.headers) == {
        b"x-ratelimit-limit-requests": b"10",
        b"x-ratelimit-remaining-requests": b"9",
        b"x-ratelimit-reset-requests": b"1m1.5s",
        b"x-ratelimit-limit-tokens": b"1000",
        b"x-ratelimit-remaining-tokens": b"900",
        b"x-ratelimit-reset-tokens": b"1m1.5s",
    }
    assert world.gateways[0].headers(key(requests=10, tokens=1000)) == admission.headers
    assert world.gateways[0].headers(key(key_id="never seen")) == ()


async def test_refusal_says_when_to_come_back():
    world, caller = World(2), key(requests=1)
    await world.admit(0, caller)
    world.now += 20
    with pytest.raises(RateLimited, match="1 requests per minute") as refused:
        await world.gateways[1].admit(caller, 1)
    assert refused.value.retry_after_s == pytest.approx(41.5)
    world.now += 41.5
    assert await world.admit(1, caller) is not None


async def test_a_request_larger_than_the_limit_is_told_so():
    world = World(1)
    with pytest.raises(RateLimited, match="max_tokens") as refused:
        await world.gateways[0].admit(key(tokens=100), 101)
    assert refused.value.retry_after_s is None
    assert world.calls == 0


async def test_tokens_used_beyond_the_reserve_make_later_requests_wait():
    world, caller = World(1), key(tokens=100)
    admission = await world.admit(0, caller, 50)
    admission.settle(150)
    await world.flush()
    assert world.used("tokens") == 150
    world.now += 1.1
    assert await world.admit(0, caller, 0) is None


async def test_fails_closed_when_the_ledger_breaks_or_hangs():
    async def lost():
        raise ConnectionError

    async def hang():
        await asyncio.Event().wait()

    world, caller = World(1), key(requests=10)
    for broken in (lost, hang):
        world.broken = broken
        gateway = Limits(world.lease, world.clock, lambda: 1, deadline_s=0.01)
        results = await asyncio.gather(
            *(gateway.admit(caller, 1) for _ in range(3)), return_exceptions=True
        )
        assert [type(r) for r in results] == [Unavailable] * 3
        assert results[0].retry_after_s == 1.0


async def test_a_lease_that_arrives_dead_admits_nobody():
    world = World(1, latency_s=0.5)
    gateway = Limits(world.lease, world.clock, lambda: 1, deadline_s=0.01)
    with pytest.raises(Unavailable):
        await gateway.admit(key(requests=10**6), 1)


async def test_charges_survive_a_lost_ledger_and_refunds_do_not():
    async def lost():
        raise ConnectionError

    world, caller = World(1), key(tokens=1000)
    more, less = await world.admit(0, caller, 50), await world.admit(0, caller, 100)
    more.settle(70)
    less.settle(10)
    world.broken = lost
    with pytest.raises(Unavailable):
        await world.flush()
    world.broken = None
    await world.flush()
    world.now += 1
    await world.flush()
    assert world.used("tokens") == 50 + 20 + 100


async def test_a_cancelled_wait_lets_the_next_one_in():
    started = asyncio.Event()

    async def hang():
        started.set()
        await asyncio.Event().wait()

    world, caller = World(1), key(requests=10)
    world.broken = hang
    waiting = asyncio.create_task(world.gateways[0].admit(caller, 1))
    await started.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    world.broken = None
    assert await world.admit(0, caller) is not None


async def test_holds_a_bounded_number_of_keys():
    world = World(1)
    gateway = Limits(world.lease, world.clock, lambda: 1, max_accounts=3)
    for i in range(20):
        await gateway.admit(key(requests=1000, key_id=f"k{i}"), 1)
    held = [i for i in range(20) if gateway.headers(key(key_id=f"k{i}"))]
    assert held == [17, 18, 19]


async def test_run_returns_idle_leases_until_cancelled(monkeypatch):
    monkeypatch.setattr("zoran_ray.access.limits.LEASE_LIFE_S", 0.01)
    world = World(1)
    await world.admit(0, key(requests=6000))
    world.now += 1
    flushed = asyncio.Event()
    real = world.ledger.lease

    def watched(asks, settlements=()):
        flushed.set()
        return real(asks, settlements)

    world.ledger.lease = watched
    task = asyncio.create_task(world.gateways[0].run())
    await flushed.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.used("requests") == 1
