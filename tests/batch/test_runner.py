"""Asking many lines: bounds, retries, cancellation, and that nothing is lost or done twice."""

import asyncio
import contextlib
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.batch.conftest import AT_ONCE, answered
from zoran_ray.batch.lines import Line
from zoran_ray.batch.outcome import Failed, is_good
from zoran_ray.batch.runner import Patience, Places, Runner
from zoran_ray.errors import InvalidRequest, StorageFull, Unavailable, Unreachable, UpstreamError


class Pages:
    """A book in memory."""

    def __init__(self, count, faults=()):
        self.left = [Line(n, 0, 0, f"c{n}", "m") for n in range(1, count + 1)]
        self.done = []
        self.faults = list(faults)

    def settle(self, done, want):
        if self.faults and (fault := self.faults.pop(0)):
            raise fault
        self.done += done
        taken, self.left = self.left[:want], self.left[want:]
        return taken


class Asked:
    """Answers lines; remembers how many at a time."""

    def __init__(self, script=None):
        self.now = self.most = self.count = 0
        self.script = script or {}

    async def __call__(self, line):
        self.count += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0)
            steps = self.script.get(line.number)
            step = steps.pop(0) if steps else answered()
            if isinstance(step, BaseException):
                raise step
            return step
        finally:
            self.now -= 1


async def nap(seconds):
    await asyncio.sleep(0)


def runner(book, ask, most=4, **options):
    return Runner(book, ask, Places(most), **{"patience": AT_ONCE, "rng": random.Random(1), **options})


@pytest.mark.parametrize(("count", "most"), [(0, 1), (1, 1), (200, 7), (500, 1000)])
async def test_each_line_is_asked_once_within_the_bound(count, most):
    book, ask = Pages(count), Asked()
    await runner(book, ask, most).run()
    assert sorted(done.line.number for done in book.done) == list(range(1, count + 1))
    assert ask.count == count
    assert ask.most <= most


@given(st.dictionaries(st.integers(1, 40), st.lists(st.sampled_from([
    UpstreamError("x"), Unavailable("x", retry_after_s=0.0), InvalidRequest("x"), RuntimeError("secret"),
    answered(status=500, retryable=True), answered(status=429, retryable=True, retry_after_s=0.0),
    answered(status=400),
]), max_size=10)), st.integers(1, 9))  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_whatever_goes_wrong_each_line_ends_exactly_once(script, most):
    book, ask = Pages(40), Asked(script)
    asyncio.run(runner(book, ask, most, sleep=nap).run())
    assert sorted(done.line.number for done in book.done) == list(range(1, 41))
    assert ask.most <= most


@pytest.mark.parametrize(
    ("steps", "tries", "last"),
    [
        ([UpstreamError("x"), answered("good")], 2, answered("good")),
        ([answered(status=503, retryable=True), answered("good")], 2, answered("good")),
        ([answered(status=503, retryable=True)] * 9, 8, answered(status=503, retryable=True)),
        ([Unavailable("busy")] * 9, 8, Failed("service_unavailable", "busy")),
        ([InvalidRequest("no")], 1, Failed("invalid_value", "no")),
        ([answered(status=400)], 1, answered(status=400)),
    ],
)
async def test_only_what_may_help_is_tried_again(steps, tries, last):
    book, ask = Pages(1), Asked({1: steps})
    await runner(book, ask, sleep=nap).run()
    assert ask.count == tries
    assert [done.outcome for done in book.done] == [last]


async def test_a_bug_is_told_without_its_text():
    book = Pages(1)
    await runner(book, Asked({1: [RuntimeError("the prompt")]})).run()
    assert "prompt" not in str(book.done)
    assert book.done[0].outcome.code == "internal_error"


async def test_waits_grow_and_the_servers_wish_is_kept():
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    steps = [Unavailable("x", retry_after_s=2.0), UpstreamError("x"), UpstreamError("x")]
    await runner(Pages(1), Asked({1: steps}), sleep=sleep, patience=Patience(first_s=1.0, most_s=1.5)).run()
    first, second, third = slept
    assert 2.0 <= first <= 3.0
    assert 0 <= second <= 1.5
    assert 0 <= third <= 1.5


async def test_who_only_has_no_room_is_asked_for_longer():
    patient = Patience(tries=2, busy_tries=30, first_s=0.0, most_s=0.0)
    busy = [Unavailable("x"), answered(status=429, retryable=True)] * 10
    book = Pages(2)
    ask = Asked({1: busy, 2: [UpstreamError("x")] * 10})
    await runner(book, ask, sleep=nap, patience=patient).run()
    assert {done.line.number: is_good(done.outcome) for done in book.done} == {1: True, 2: False}
    assert ask.count == 21 + 2


async def test_a_wish_that_is_too_long_ends_it():
    book, ask = Pages(1), Asked({1: [Unavailable("x", retry_after_s=1e6)]})
    await runner(book, ask).run()
    assert ask.count == 1


async def test_cancelling_stops_what_is_asked_and_keeps_what_was_answered():
    book, hold, asked = Pages(50), asyncio.Event(), []

    async def ask(line):
        asked.append(line.number)
        if line.number > 10:
            await hold.wait()
        return answered()

    task = asyncio.create_task(runner(book, ask, 20).run())
    while len(asked) < 30:
        await asyncio.sleep(0.001)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert sorted(done.line.number for done in book.done) == list(range(1, 11))
    assert len(asked) == 30


async def test_a_book_that_is_busy_is_tried_again_and_one_that_is_broken_ends_it():
    busy = Pages(20, [None, Unavailable("x"), Unavailable("x")])
    await runner(busy, Asked(), sleep=nap).run()
    assert sorted(done.line.number for done in busy.done) == list(range(1, 21))
    full = Pages(20, [None, *[StorageFull("full")] * 100])
    with pytest.raises(StorageFull):
        await runner(full, Asked(), sleep=nap).run()
    assert full.done == []


async def test_nobody_to_ask_ends_it_and_leaves_the_rest():
    book = Pages(20)
    with pytest.raises(Unreachable):
        await runner(book, Asked({5: [Unreachable("x")] * 8}), 1, sleep=nap).run()
    assert [done.line.number for done in book.done] == [1, 2, 3, 4]


async def test_nobody_to_ask_while_the_book_is_written_is_noticed_before_more_is_asked():
    class Slow(Pages):
        def settle(self, done, want):
            if any(each.line.number == 4 for each in done):
                time.sleep(0.3)  # the line after is lost meanwhile
            return super().settle(done, want)

    book = Slow(20)
    ask = Asked({5: [Unreachable("x")] * 8})
    with pytest.raises(Unreachable):
        await runner(book, ask, 1, sleep=nap).run()
    assert max(done.line.number for done in book.done) == 4


async def test_a_place_that_another_left_is_found():
    places = Places(1)
    taken = Line(99, 0, 0, "x", "m")
    assert places.enter(taken)
    book = Pages(3)
    task = asyncio.create_task(Runner(book, Asked(), places).run())
    await asyncio.sleep(0.01)
    assert book.done == []
    places.leave(taken)
    async with asyncio.timeout(10):
        await task
    assert len(book.done) == 3
