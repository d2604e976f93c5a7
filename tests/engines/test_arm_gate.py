"""Places are never more than the limit, never lost, and given in the order of arrival."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clock import Clock
from zoran_ray.engines.arm_gate import ArmGate
from zoran_ray.errors import DeadlineExceeded, Overloaded


class Crowd:
    """Requests that hold their place until they are told to go."""

    def __init__(self, gate):
        self.gate = gate
        self.inside = []
        self.order = []
        self.waited = []
        self.most = 0
        self.go = {}
        self.tasks = {}

    async def _visit(self, name, deadline):
        waits = self.gate.held == self.gate._most
        async with self.gate.place(deadline):
            if waits:
                self.waited.append(name)
            self.inside.append(name)
            self.order.append(name)
            self.most = max(self.most, len(self.inside))
            try:
                await self.go[name].wait()
            finally:
                self.inside.remove(name)

    def arrive(self, name, deadline=1e6):
        self.go[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._visit(name, deadline))

    async def end(self):
        for event in self.go.values():
            event.set()
        return await asyncio.gather(*self.tasks.values(), return_exceptions=True)


async def settle():
    for _ in range(6):
        await asyncio.sleep(0)


def gate(most=1, queued=10, clock=None):
    return ArmGate("x/y", most, queued, clock or Clock())


async def test_first_come_first_served():
    crowd = Crowd(gate(2))
    for name in range(8):
        crowd.arrive(name)
    await settle()
    assert (crowd.inside, crowd.gate.held, crowd.gate.queued) == ([0, 1], 2, 6)
    for name in range(8):
        crowd.go[name].set()
        await settle()
    assert crowd.order == list(range(8))
    assert (crowd.gate.held, crowd.gate.queued, crowd.most) == (0, 0, 2)


async def test_full_is_told_at_once():
    crowd = Crowd(gate(1, queued=1))
    crowd.arrive("in")
    crowd.arrive("waiting")
    await settle()
    with pytest.raises(Overloaded, match="'x/y' has all its places taken and 1 requests waiting") as full:
        async with crowd.gate.place(1e6):
            pytest.fail("there is no place")
    assert full.value.retry_after_s > 0
    await crowd.end()
    assert crowd.gate.held == 0


async def test_no_queue_at_all():
    crowd = Crowd(gate(1, queued=0))
    crowd.arrive("in")
    await settle()
    with pytest.raises(Overloaded):
        async with crowd.gate.place(1e6):
            pytest.fail("there is no place")
    await crowd.end()


async def test_time_to_come_back_grows_with_the_queue_and_the_time_a_place_is_held():
    clock = Clock()
    crowd = Crowd(gate(1, queued=2, clock=clock))
    told = []
    for _ in range(3):
        crowd.arrive("in")
        crowd.arrive("b")
        crowd.arrive("c")
        await settle()
        with pytest.raises(Overloaded) as full:
            async with crowd.gate.place(1e6):
                pytest.fail("there is no place")
        told.append(full.value.retry_after_s)
        clock.now += 100
        await crowd.end()
    assert told == sorted(told)
    assert told[0] < told[-1] <= 60


@pytest.mark.parametrize("deadline", [0.0, -1.0, float("nan")])
async def test_a_deadline_that_has_passed(deadline):
    own = gate()
    with pytest.raises(DeadlineExceeded):
        async with own.place(deadline):
            pytest.fail("too late")
    assert own.held == 0


async def test_a_deadline_that_passes_in_the_queue():
    crowd = Crowd(gate())
    crowd.arrive("in")
    await settle()
    with pytest.raises(DeadlineExceeded) as late:
        async with crowd.gate.place(0.001):
            pytest.fail("too late")
    assert late.value.__suppress_context__
    assert (crowd.gate.held, crowd.gate.queued) == (1, 0)
    await crowd.end()
    assert crowd.gate.held == 0


async def test_whoever_is_cancelled_as_its_turn_comes_passes_it_on():
    crowd = Crowd(gate())
    for name in "abc":
        crowd.arrive(name)
    await settle()
    crowd.go["a"].set()
    while crowd.inside:  # a has gone; b has its place but has not woken yet
        await asyncio.sleep(0)
    crowd.tasks["b"].cancel()
    await settle()
    assert crowd.inside == ["c"]
    await crowd.end()
    assert crowd.gate.held == 0


async def test_an_error_inside_gives_the_place_back():
    own = gate()
    with pytest.raises(KeyError):
        async with own.place(1e6):
            raise KeyError
    assert own.held == 0


async def test_more_places_let_those_who_wait_in():
    crowd = Crowd(gate(1))
    for name in "abc":
        crowd.arrive(name)
    await settle()
    crowd.gate.resize(2, 10)
    await settle()
    assert crowd.inside == ["a", "b"]
    crowd.gate.resize(1, 0)
    crowd.go["a"].set()
    await settle()
    assert crowd.inside == ["b"]
    await crowd.end()
    assert crowd.order == ["a", "b", "c"]
    assert crowd.gate.held == 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.just(0)),
        st.tuples(st.sampled_from(["go", "cancel"]), st.integers(0, 30)),
        st.tuples(st.just("turn"), st.integers(1, 3)),
    ),
    max_size=60,
)


@settings(max_examples=200)
@given(steps, st.integers(1, 4), st.integers(0, 5))
async def test_places_never_leak_and_never_exceed_the_limit(script, most, queued):
    """Arrivals, ends and cancellations, with any number of turns of the loop between them."""
    crowd = Crowd(gate(most, queued))
    for what, n in script:
        if what == "arrive":
            crowd.arrive(len(crowd.tasks))
        elif what == "turn":
            for _ in range(n):
                await asyncio.sleep(0)
        elif crowd.tasks:
            name = n % len(crowd.tasks)
            if what == "go":
                crowd.go[name].set()
            else:
                crowd.tasks[name].cancel()
        assert len(crowd.inside) <= crowd.gate.held <= most
        assert crowd.gate.queued <= queued
    results = await crowd.end()
    assert crowd.most <= most
    assert (crowd.gate.held, crowd.gate.queued) == (0, 0)
    assert all(r is None or isinstance(r, Overloaded | asyncio.CancelledError) for r in results)
    # One who finds a place free may begin before one whose turn has come and who still wakes up.
    assert crowd.waited == sorted(crowd.waited)
