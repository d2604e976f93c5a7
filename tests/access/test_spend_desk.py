"""Many requests, one transaction at a time; nothing is forgotten, whoever is cancelled."""

import asyncio
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoran_ray.access.budgets import Budget, Reserve, Settle, Spent
from zoran_ray.access.spend_desk import SpendDesk
from zoran_ray.access.spend_ledger import SpendLedger
from zoran_ray.errors import BudgetExceeded, InvalidRequest, Unavailable, ZoranError

NOW = 20_000.0 * 86_400


@pytest.fixture
def ledger(tmp_path):
    return SpendLedger(tmp_path / "state" / "spend.sqlite", lambda: NOW, Budget(per_day=100))


def wish(name, most=10, lease_s=60.0):
    return Reserve(name, "k", most, lease_s)


class Book:
    """The way to a ledger that can be held up and broken."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.batches = []
        self.open = threading.Event()
        self.open.set()
        self.error = None

    def __call__(self, entries):
        assert self.open.wait(60)
        self.batches.append(list(entries))
        if self.error is not None:
            raise self.error
        return self.ledger.book(entries)


@pytest.fixture
def book(ledger):
    return Book(ledger)


async def started(*calls):
    tasks = [asyncio.ensure_future(call) for call in calls]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_what_comes_meanwhile_goes_into_the_next_transaction(ledger, book):
    desk = SpendDesk(book)
    book.open.clear()
    tasks = await started(*(desk.reserve(wish(str(n))) for n in range(12)))
    desk.settle("0", 4)
    book.open.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await desk.flush()
    assert [type(result) for result in results] == [type(None)] * 10 + [BudgetExceeded] * 2
    assert len(book.batches) <= 3
    assert ledger.spent() == Spent(4, 90)
    assert len(desk) == 0


async def test_on_disk_before_it_returns(ledger, book):
    await SpendDesk(book).reserve(wish("a"))
    assert ledger.spent() == Spent(0, 10)


@pytest.mark.parametrize("when", ["waiting", "being written"])
async def test_a_cancelled_reservation_is_given_back(ledger, book, when):
    desk = SpendDesk(book)
    book.open.clear()
    if when == "waiting":
        await started(desk.reserve(wish("before")))
    (task,) = await started(desk.reserve(wish("a")))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    book.open.set()
    await desk.flush()
    assert ledger.spent().reserved == (10 if when == "waiting" else 0)


async def test_a_broken_ledger_admits_nobody_and_keeps_what_is_to_be_settled(ledger, book):
    desk = SpendDesk(book)
    await desk.reserve(wish("a"))
    book.error = Unavailable("busy", retry_after_s=1.0)
    book.open.clear()
    tasks = await started(desk.reserve(wish("b")))
    desk.settle("a", 7)
    tasks += await started(desk.reserve(wish("c")))
    book.open.set()
    assert [type(r) for r in await asyncio.gather(*tasks, return_exceptions=True)] == [Unavailable] * 2
    with pytest.raises(Unavailable):
        await desk.flush()
    assert len(desk) == 1
    book.error = None
    await desk.reserve(wish("d"))
    assert ledger.spent() == Spent(7, 10)


async def test_an_unforeseen_failure_says_nothing_of_itself(book):
    book.error = OSError("/secret/place")
    with pytest.raises(ZoranError, match="ledger of budgets failed") as caught:
        await SpendDesk(book).reserve(wish("a"))
    assert "secret" not in str(caught.value)


async def test_settled_says_when_it_is_on_disk(ledger, book):
    desk = SpendDesk(book)
    for name in "ab":
        await desk.reserve(wish(name))
    await desk.settled([Settle("a", 3), Settle("b", 4), Settle("never heard of", 9)])
    assert ledger.spent() == Spent(7, 0)
    await desk.settled([])


async def test_what_could_not_be_settled_is_left_to_the_caller(ledger, book):
    desk = SpendDesk(book)
    await desk.reserve(wish("a"))
    book.error = Unavailable("busy")
    with pytest.raises(Unavailable):
        await desk.settled([Settle("a", 3), Settle("b", 4)])
    assert len(desk) == 0
    book.error = None
    await desk.settled([Settle("a", 3)])
    assert ledger.spent() == Spent(3, 0)


async def test_a_senseless_amount_changes_nothing(book):
    desk = SpendDesk(book)
    for bad in (-1, float("nan")):
        with pytest.raises(InvalidRequest):
            desk.settle("a", bad)
    assert len(desk) == 0
    assert book.batches == []


class Purse:
    """A ledger in memory, as exact as the real one, for many examples."""

    def __init__(self, limit):
        self.limit = limit
        self.reserved = {}
        self.settled = 0

    def book(self, entries):
        answers = []
        for entry in entries:
            refused = None
            if isinstance(entry, Settle):
                if self.reserved.pop(entry.reservation_id, None) is not None:
                    self.settled += entry.actual
            elif self.settled + sum(self.reserved.values()) + entry.most > self.limit:
                refused = BudgetExceeded("x")
            else:
                self.reserved[entry.reservation_id] = entry.most
            answers.append(refused)
            assert self.settled + sum(self.reserved.values()) <= self.limit
        return answers


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.floats(0, 1), st.sampled_from(["ends", "cancelled"])),
        max_size=20,
    ),
    st.integers(0, 200),
)
async def test_requests_that_end_or_are_cancelled_anywhere_leave_nothing_reserved(script, limit):
    purse = Purse(limit)
    desk = SpendDesk(purse.book)
    paid = []

    async def request(name, most, share):
        await desk.reserve(wish(name, most))
        actual = int(most * share)
        try:
            await asyncio.sleep(0)
        finally:
            desk.settle(name, actual)
            paid.append(actual)

    tasks = []
    for n, (most, share, how) in enumerate(script):
        tasks.append(asyncio.create_task(request(str(n), most, share)))
        await asyncio.sleep(0)
        if how == "cancelled":
            tasks[n // 2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await desk.flush()
    assert purse.reserved == {}
    assert purse.settled == sum(paid)
