"""Money at the gateways against the real authority on a real file; Ray's part is played by `Wire`."""

import asyncio
import gc
import pickle
import random
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.access import AccessAuthority
from serve_apps.gateway.spending import Spending
from tests.clock import Clock
from zoran_ray.access import EVERYBODY, UNLIMITED, Budget, Spent, usd
from zoran_ray.access.budgets import DAY_S, MOST_LEASE_S
from zoran_ray.access.money import MOST_NANO_USD
from zoran_ray.errors import BudgetExceeded, InvalidRequest, Unavailable, ZoranError
from zoran_ray.messages import KeyInfo

LEASE_S = 1000.0


class RemoteError(Exception):
    """Like Ray's: the authority is away."""


class Wire:
    """The way to an authority that can lose a call, lose an answer, and be killed at any moment.

    Whatever crosses it is pickled, as Ray does. What a killed authority still finishes is never told.
    """

    def __init__(self, folder, budget=UNLIMITED, clock=None, chances=None):
        self._make = lambda: AccessAuthority(
            Path(folder) / "keys.sqlite", budget, clock or Clock(20_000.0 * DAY_S)
        )
        self.authority = self._make()
        self.life = 0
        self.chances = chances or random.Random(0)
        self.lost_calls = self.lost_answers = 0.0
        self.calls = []
        self.away = False

    def kill(self):
        """Another authority takes over; nothing that is under way is answered any more."""
        self.life += 1
        self.authority = self._make()

    async def call(self, actor, method, *args, timeout_s):
        assert actor == "access"
        assert 0 < timeout_s < 60
        life = self.life
        self.calls.append(method)
        await asyncio.sleep(0)
        if self.away or self.chances.random() < self.lost_calls:
            raise RemoteError
        try:
            answer = await getattr(self.authority, method)(*pickle.loads(pickle.dumps(args)))
        except ZoranError as error:
            raise pickle.loads(pickle.dumps(error)) from None
        if life != self.life or self.chances.random() < self.lost_answers:
            raise TimeoutError
        return answer


@pytest.fixture
def clock():
    return Clock(20_000.0 * DAY_S)


@pytest.fixture
def wire(tmp_path, clock):
    return Wire(tmp_path / "state", clock=clock)


def key(name="k", per_day=None, per_request=None):
    def in_usd(nano):
        return None if nano is None else usd(nano)

    return KeyInfo(name, name, "", usd_per_day=in_usd(per_day), usd_per_request=in_usd(per_request))


@asynccontextmanager
async def running(*gateways):
    tasks = [asyncio.create_task(gateway.run()) for gateway in gateways]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_reserves_then_settles_in_the_background(wire):
    spending = Spending(wire.call)
    async with running(spending):
        await spending.reserve("a", key(per_day=100), 60, LEASE_S)
        assert await wire.authority.spent("k") == Spent(0, 60)
        with pytest.raises(BudgetExceeded, match=r"\$0\.00000004 is left") as caught:
            await spending.reserve("b", key(per_day=100), 41, LEASE_S)
        assert type(caught.value) is BudgetExceeded
        spending.settle("a", 25)
        spending.settle("a", 60)
        spending.settle("b", 7)
        while len(spending):
            await asyncio.sleep(0.001)
    assert await wire.authority.spent("k") == await wire.authority.spent() == Spent(25, 0)
    assert wire.calls == ["reserve", "reserve", "settle"]


async def test_what_is_free_needs_nobody(wire):
    wire.away = True
    spending = Spending(wire.call)
    await spending.reserve("a", key(per_day=0), 0, LEASE_S)
    spending.settle("a", 0)
    await spending.flush(1.0)
    assert wire.calls == []
    assert len(spending) == 0


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), -1, 1.5, True, None, MOST_NANO_USD + 1])
async def test_senseless_amounts_change_nothing(wire, amount):
    spending = Spending(wire.call)
    with pytest.raises(InvalidRequest):
        await spending.reserve("a", key(), amount, LEASE_S)
    with pytest.raises(InvalidRequest):
        await spending.reserve("a", key(), 5, LEASE_S, already_nano=amount)
    assert wire.calls == []
    assert len(spending) == 0
    await spending.reserve("a", key(), 5, LEASE_S)
    with pytest.raises(InvalidRequest):
        spending.settle("a", amount)
    assert await wire.authority.spent("k") == Spent(0, 5)
    spending.settle("a", 4)
    await spending.flush(5.0)
    assert await wire.authority.spent("k") == Spent(4, 0)


@pytest.mark.parametrize("lease_s", [float("nan"), 0, -1, MOST_LEASE_S + 1])
async def test_senseless_times_change_nothing(wire, lease_s):
    spending = Spending(wire.call)
    with pytest.raises(InvalidRequest):
        await spending.reserve("a", key(), 5, lease_s)
    assert (wire.calls, len(spending)) == ([], 0)


@pytest.mark.parametrize("how", ["away", "answer lost", "ledger damaged"])
async def test_nothing_paid_goes_out_unaccounted(wire, tmp_path, caplog, how):
    spending = Spending(wire.call)
    wire.away = how == "away"
    wire.lost_answers = float(how == "answer lost")
    if how == "ledger damaged":
        (tmp_path / "state").mkdir(mode=0o700)
        (tmp_path / "state/spend.sqlite").touch(0o600)
    with pytest.raises(Unavailable, match="could not be set aside") as caught:
        await spending.reserve("a", key(), 5, LEASE_S)
    assert type(caught.value) is Unavailable
    assert caught.value.retry_after_s == 1.0
    assert "state" not in caught.value.message
    wire.away, wire.lost_answers = False, 0.0
    if how == "ledger damaged":
        (tmp_path / "state/spend.sqlite").unlink()
    await spending.flush(5.0)
    assert await wire.authority.spent() == Spent()


async def test_a_slow_authority_is_given_up_and_what_it_wrote_is_given_back(wire):
    gate = asyncio.Event()

    async def slow(actor, method, *args, timeout_s):
        async with asyncio.timeout(timeout_s):
            done = asyncio.ensure_future(wire.call(actor, method, *args, timeout_s=timeout_s))
            await gate.wait()
            return await done

    spending = Spending(slow, reserve_s=0.01)
    with pytest.raises(Unavailable):
        await spending.reserve("a", key(), 5, LEASE_S)
    gate.set()
    await spending.flush(5.0)
    assert await wire.authority.spent() == Spent()


async def test_a_reservation_cancelled_on_its_way_is_given_back(wire):
    spending = Spending(wire.call)
    task = asyncio.create_task(spending.reserve("a", key(), 5, LEASE_S))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await spending.flush(5.0)
    assert await wire.authority.spent() == Spent()
    assert len(spending) == 0


async def test_settlements_wait_for_an_authority_that_is_away(wire):
    spending = Spending(wire.call)
    async with running(spending):
        for n in range(5):
            await spending.reserve(str(n), key(), 10, LEASE_S)
        wire.away = True
        for n in range(5):
            spending.settle(str(n), n)
        while wire.calls.count("settle") < 2:
            await asyncio.sleep(0.01)
        assert len(spending) == 5
        wire.kill()
        wire.away = False
        while len(spending):
            await asyncio.sleep(0.01)
    assert await wire.authority.spent("k") == Spent(10, 0)


async def test_what_waits_is_bounded_and_then_nothing_paid_is_let_in(wire):
    spending = Spending(wire.call, most_open=3)
    wire.away = True
    for n in range(5):
        with pytest.raises(Unavailable):
            await spending.reserve(str(n), key(), 10, LEASE_S)
    assert wire.calls == ["reserve"] * 3
    assert len(spending) == 3
    wire.away = False
    await spending.flush(5.0)
    await spending.reserve("again", key(), 10, LEASE_S)


async def test_flush_gives_up_in_time_and_keeps_what_it_could_not_send(wire, caplog):
    spending = Spending(wire.call)
    await spending.reserve("a", key(), 10, LEASE_S)
    spending.settle("a", 5)
    wire.away = True
    await spending.flush(0.05)
    assert "1 settlements could not be sent" in caplog.text
    assert len(spending) == 1
    wire.away = False
    await spending.flush(5.0)
    assert await wire.authority.spent() == Spent(5, 0)


async def test_tries_of_one_request_have_one_tab(wire):
    spending = Spending(wire.call)
    with spending.tab(key(per_day=1000, per_request=100), LEASE_S) as tab:
        await tab.reserve(60)
        tab.settle(30)
        with pytest.raises(BudgetExceeded, match="of earlier tries"):
            await tab.reserve(71)
        await tab.reserve(0)
        tab.settle(0)
        await tab.reserve(70)
        tab.settle(65)
        tab.settle(70)
        assert tab.spent_nano == 95
    await spending.flush(5.0)
    assert await wire.authority.spent("k") == Spent(95, 0)


async def test_a_try_that_nobody_settled_counts_in_full(wire):
    spending = Spending(wire.call)
    with suppress(KeyError), spending.tab(key(), LEASE_S) as tab:
        await tab.reserve(10)
        await tab.reserve(7)
        with pytest.raises(InvalidRequest):
            tab.settle(-1)
        raise KeyError
    await spending.flush(5.0)
    assert await wire.authority.spent("k") == Spent(17, 0)
    assert tab.spent_nano == 17


async def test_tabs_never_share_a_reservation(wire):
    gateways = [Spending(wire.call), Spending(wire.call)]
    tabs = [gateway.tab(key(), LEASE_S) for gateway in gateways for _ in range(3)]
    for tab in tabs:
        await tab.reserve(1)
        await tab.reserve(1)
    assert await wire.authority.spent("k") == Spent(0, 12)
    for gateway in gateways:
        await gateway.flush(5.0)
    assert await wire.authority.spent("k") == Spent(6, 6)


async def test_a_request_over_midnight_belongs_to_the_day_it_began_in(wire, clock):
    spending = Spending(wire.call)
    clock.now += DAY_S - 1
    mine = key(per_day=100)
    await spending.reserve("a", mine, 100, LEASE_S)
    with pytest.raises(BudgetExceeded):
        await spending.reserve("b", mine, 1, LEASE_S)
    clock.now += 2
    await spending.reserve("c", mine, 90, LEASE_S)
    spending.settle("a", 80)
    await spending.flush(5.0)
    assert await wire.authority.spent("k") == Spent(0, 90)
    clock.now -= 2
    assert await wire.authority.spent("k") == Spent(80, 0)


LIMITS = {"k1": 120, "k2": 100, EVERYBODY: 150}
PER_REQUEST = 70
requests = st.lists(
    st.tuples(
        st.sampled_from(["k1", "k2"]),
        st.lists(st.tuples(st.integers(0, 60), st.floats(0, 1)), min_size=1, max_size=3),
        st.sampled_from(["ends", "ends", "ends", "cancelled", "forgets"]),
    ),
    min_size=5,
    max_size=40,
)


class Books:
    """What really went out, and what a provider may yet charge, told by the requests themselves."""

    def __init__(self):
        self.paid = dict.fromkeys(LIMITS, 0)
        self.open = dict.fromkeys(LIMITS, 0)

    def sent(self, owner, most):
        for each in (owner, EVERYBODY):
            self.open[each] += most
            assert self.paid[each] + self.open[each] <= LIMITS[each]

    def over(self, owner, most, actual):
        for each in (owner, EVERYBODY):
            self.open[each] -= most
            self.paid[each] += actual


async def _request(spending, books, owner, tries, how):
    in_all = 0
    with spending.tab(key(owner, LIMITS[owner], PER_REQUEST), LEASE_S) as tab:
        for most, share in tries:
            await tab.reserve(most)
            books.sent(owner, most)
            actual = most  # what is cut off counts in full
            try:
                await asyncio.sleep(0)
                actual = most if how == "forgets" else int(most * share)
            finally:
                books.over(owner, most, actual)
                in_all += actual
            if how != "forgets":
                tab.settle(actual)
            assert in_all <= PER_REQUEST


@settings(max_examples=25, deadline=None)
@given(requests, st.integers(0, 2**32), st.sampled_from([0.0, 0.1]), st.integers(0, 3))
async def test_no_budget_is_ever_exceeded_and_all_adds_up(script, seed, losses, kills):
    """Requests of two keys at two gateways, cancelled anywhere, with lost messages and restarts."""
    chances, books = random.Random(seed), Books()
    with tempfile.TemporaryDirectory() as folder:
        wire = Wire(Path(folder) / "state", Budget(LIMITS[EVERYBODY]), chances=chances)
        wire.lost_calls = wire.lost_answers = losses
        gateways = [Spending(wire.call), Spending(wire.call)]
        async with running(*gateways):
            tasks = []
            for n, (owner, tries, how) in enumerate(script):
                gateway = chances.choice(gateways)
                tasks.append(asyncio.create_task(_request(gateway, books, owner, tries, how)))
                if how == "cancelled":
                    await asyncio.sleep(chances.choice([0, 0.001]))
                    chances.choice(tasks).cancel()
                if kills and n % (len(script) // kills) == 0:
                    wire.kill()
                spent = wire.authority._spend.spent_today()
                assert all(account.total <= LIMITS[owner] for owner, account in spent.items())
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} <= {
            type(None), BudgetExceeded, Unavailable, asyncio.CancelledError
        }  # fmt: skip
        wire.lost_calls = wire.lost_answers = 0.0
        for gateway in gateways:
            await gateway.flush(30.0)
            assert len(gateway) == 0
        assert set(books.open.values()) == {0}
        for owner in LIMITS:
            assert await wire.authority.spent(owner) == Spent(books.paid[owner], 0)
        wire.authority._spend.close()
        gc.collect()  # files of the authorities that were killed
