"""Money on disk: exact under any interleaving, and nothing acknowledged is ever lost."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clock import Clock
from zoran_ray.access.budgets import (
    DAY_S,
    EVERYBODY,
    MOST_ACCOUNT,
    MOST_LEASE_S,
    Budget,
    Reserve,
    Settle,
    Spent,
)
from zoran_ray.access.money import MOST_NANO_USD
from zoran_ray.access.spend_ledger import KEPT_DAYS, SpendLedger
from zoran_ray.errors import BudgetExceeded, ConfigError, InvalidRequest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clock():
    return Clock(20_000.0 * DAY_S)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "spend.sqlite"


@pytest.fixture(params=[True, False], ids=["kept open", "opened anew"])
def ledger(path, clock, request):
    made = SpendLedger(path, clock, Budget(per_day=1000), keep_open=request.param)
    yield made
    made.close()


def wish(name, most, key="k", per_day=100, lease_s=60.0, per_request=None, already=0):
    return Reserve(name, key, most, lease_s, Budget(per_day, per_request), already)


def test_a_reservation_that_its_settlement_has_overtaken_holds_nothing(ledger):
    for _ in range(3):
        ledger.settle("a", 7)
    ledger.reserve(wish("a", 40))
    ledger.settle("a", 7)
    assert ledger.spent("k") == ledger.spent() == Spent()


def test_reserves_then_settles(ledger):
    ledger.reserve(wish("a", 60))
    assert ledger.spent("k") == ledger.spent() == Spent(0, 60)
    with pytest.raises(BudgetExceeded, match="of this API key"):
        ledger.reserve(wish("b", 41))
    ledger.reserve(wish("c", 40))
    ledger.settle("a", 25)
    assert ledger.spent("k") == Spent(25, 40)
    ledger.reserve(wish("d", 35))
    ledger.settle("c", 0)
    assert ledger.spent("k") == ledger.spent() == Spent(25, 35)
    assert ledger.spent("other") == Spent()


def test_the_deployments_budget_holds_for_all_keys_together(ledger):
    for key in "abcdefghij":
        ledger.reserve(wish(key, 100, key=key))
    with pytest.raises(BudgetExceeded, match="of this deployment"):
        ledger.reserve(wish("l", 1, key="l"))
    assert ledger.spent("l") == Spent()
    ledger.settle("a", 99)
    ledger.reserve(wish("l", 1, key="l"))


def test_without_keys_only_the_deployments_budget_counts(ledger):
    ledger.reserve(wish("a", 900, key=EVERYBODY, per_day=1))
    ledger.settle("a", 800)
    assert ledger.spent() == Spent(800, 0)


def test_a_limit_on_one_request(ledger):
    with pytest.raises(BudgetExceeded, match="for one request"):
        ledger.reserve(wish("a", 6, per_request=5))
    ledger.reserve(wish("a", 5, per_request=5))


def test_earlier_tries_count_towards_the_limit_on_one_request_alone(ledger):
    ledger.reserve(wish("a/1", 60, per_request=80))
    ledger.settle("a/1", 30)
    with pytest.raises(BudgetExceeded, match=r"after the \$0\.00000003 of earlier tries"):
        ledger.reserve(wish("a/2", 51, per_request=80, already=30))
    ledger.reserve(wish("a/2", 50, per_request=80, already=30))
    assert ledger.spent("k") == Spent(30, 50)


def test_accounts_never_outgrow_their_file(ledger):
    rich = SpendLedger(ledger._db.path, Clock(20_000.0 * DAY_S))
    for n in range(45):
        rich.book([wish(f"{n}", 1, per_day=None), Settle(f"{n}", MOST_NANO_USD)])
    assert rich.spent() == rich.spent("k") == Spent(MOST_ACCOUNT, 0)
    with pytest.raises(BudgetExceeded):
        rich.reserve(wish("more", 1, per_day=None))
    rich.reserve(wish("free", 0, per_day=None))
    rich.settle("free", 5)
    assert rich.spent() == Spent(MOST_ACCOUNT, 0)


def test_all_accounts_of_today(ledger, clock):
    assert ledger.spent_today() == {}
    ledger.reserve(wish("a", 60, lease_s=10))
    ledger.reserve(wish("b", 30, key="l"))
    ledger.settle("b", 20)
    assert ledger.spent_today() == {"k": Spent(0, 60), "l": Spent(20, 0), EVERYBODY: Spent(20, 60)}
    clock.now += 10
    assert ledger.spent_today() == {"k": Spent(0, 0), "l": Spent(20, 0), EVERYBODY: Spent(20, 0)}
    clock.now += DAY_S
    assert ledger.spent_today() == {}


def test_what_costs_more_than_it_reserved_is_counted_in_full(ledger):
    ledger.reserve(wish("a", 60))
    ledger.settle("a", 130)
    assert ledger.spent("k") == Spent(130, 0)
    with pytest.raises(BudgetExceeded, match=r"\$0.00 is left"):
        ledger.reserve(wish("b", 1))


def test_asking_and_settling_twice_counts_once(ledger):
    ledger.reserve(wish("a", 60))
    ledger.reserve(wish("a", 60))
    assert ledger.spent("k") == Spent(0, 60)
    ledger.settle("a", 50)
    ledger.settle("a", 50)
    ledger.settle("never heard of", 50)
    assert ledger.spent("k") == ledger.spent() == Spent(50, 0)


def test_a_batch_is_booked_in_its_order(ledger):
    answers = ledger.book(
        [wish("a", 100), wish("b", 1), Settle("a", 40), wish("c", 60), wish("d", 1), Settle("x", 5)]
    )
    assert [type(answer) for answer in answers] == [
        type(None), BudgetExceeded, type(None), type(None), BudgetExceeded, type(None)
    ]  # fmt: skip
    assert ledger.spent("k") == Spent(40, 60)


def test_a_dead_gateways_reservation_counts_until_its_lease_is_over(ledger, path, clock):
    ledger.reserve(wish("a", 100, lease_s=60))
    restarted = SpendLedger(path, clock, Budget(per_day=1000))
    clock.now += 59.9
    assert restarted.spent("k") == Spent(0, 100)
    with pytest.raises(BudgetExceeded):
        restarted.reserve(wish("b", 1))
    clock.now += 0.1
    assert restarted.spent("k") == restarted.spent() == Spent(0, 0)
    restarted.reserve(wish("b", 100))


def test_one_that_was_only_slow_still_settles(ledger, clock):
    ledger.reserve(wish("a", 60, lease_s=60))
    clock.now += 60
    ledger.reserve(wish("b", 100))
    ledger.settle("a", 50)
    assert ledger.spent("k") == ledger.spent() == Spent(50, 100)
    ledger.settle("a", 50)
    ledger.settle("b", 10)
    assert ledger.spent("k") == Spent(60, 0)


def test_days_are_utc_and_a_request_belongs_to_the_day_it_began_in(ledger, clock):
    clock.now += DAY_S - 1
    ledger.reserve(wish("a", 100))
    clock.now += 1
    assert ledger.spent("k") == Spent()
    ledger.reserve(wish("b", 100))
    ledger.settle("a", 70)
    assert ledger.spent("k") == Spent(0, 100)
    clock.now -= 1
    assert ledger.spent("k") == Spent(70, 0)


def test_old_days_and_forgotten_reservations_are_dropped(ledger, path, clock):
    for n in range(3):
        ledger.reserve(wish(f"a{n}", 1, key=f"k{n}"))
    clock.now += MOST_LEASE_S + 61
    ledger.reserve(wish("b", 1))
    with ledger._db.read() as db:
        assert db.execute("SELECT count(*) FROM reservations").fetchone() == (1,)
    clock.now += KEPT_DAYS * DAY_S
    ledger.settle("nothing", 0)
    with ledger._db.read() as db:
        assert db.execute("SELECT count(*) FROM accounts").fetchone() == (0,)


@pytest.mark.parametrize("bad", [float("nan"), -1, 1.5])
def test_bad_amounts_change_nothing(ledger, path, bad):
    with pytest.raises(InvalidRequest):
        ledger.reserve(wish("a", bad))
    assert not path.exists()
    ledger.reserve(wish("a", 5))
    with pytest.raises(InvalidRequest):
        ledger.settle("a", bad)
    assert ledger.spent("k") == Spent(0, 5)


def test_reading_makes_no_file(ledger, path):
    assert ledger.spent() == Spent()
    assert not path.parent.exists()


def test_a_damaged_file_lets_nobody_spend(ledger, path):
    ledger.reserve(wish("a", 5))
    path.write_bytes(b"")
    for use in (lambda: ledger.reserve(wish("b", 5)), lambda: ledger.settle("a", 5), ledger.spent):
        with pytest.raises(ConfigError, match=r"damaged.*counts from nothing") as told:
            use()
        assert "keys" not in told.value.message


names = st.integers(0, 12).map(lambda n: f"r{n}")
keys = st.sampled_from(["k1", "k2", EVERYBODY])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), names, keys, st.integers(0, 60)),
        st.tuples(st.just("settle"), names, keys, st.floats(0, 1)),
        st.tuples(st.just("die"), names, keys, st.just(0)),
        st.tuples(st.just("time"), names, keys, st.integers(1, 40_000)),
        st.tuples(st.just("restart"), names, keys, st.just(0)),
    ),
    max_size=30,
)
LEASE_S = 50_000.0
LIMITS = {"k1": 100, "k2": 70, EVERYBODY: 150}


class Books:
    """The same ledger, remembered in a dictionary."""

    def __init__(self):
        self.open = {}  # id -> (key, day, most, lease ends)
        self.settled = {}  # (owner, day) -> nano
        self.dead = set()

    def total(self, owner, now):
        day = int(now // DAY_S)
        reserved = sum(
            most
            for key, began, most, ends in self.open.values()
            if began == day and owner in (key, EVERYBODY) and now < ends
        )
        return Spent(self.settled.get((owner, day), 0), reserved)


@settings(max_examples=60)
@given(steps, st.integers(1, 5), st.booleans())
def test_settled_and_reserved_never_exceed_any_budget(script, batch, keep_open):
    """Any interleaving of requests of two keys, their ends, deaths, restarts and midnights."""
    with tempfile.TemporaryDirectory() as folder:
        clock, books, pending = Clock(20_000.0 * DAY_S), Books(), []
        path = Path(folder) / "state" / "spend.sqlite"

        def made():
            return SpendLedger(path, clock, Budget(LIMITS[EVERYBODY]), keep_open=keep_open)

        ledger = made()

        def write():
            entries = list(pending)
            if entries:  # what has long been forgotten is
                old = clock.now - MOST_LEASE_S
                books.open = {k: v for k, v in books.open.items() if v[3] > old}
            pending.clear()
            for entry, refused in zip(entries, ledger.book(entries) if entries else (), strict=True):
                book(entry, refused)

        def book(entry, refused):
            day = int(clock.now // DAY_S)
            if isinstance(entry, Settle):
                if found := books.open.pop(entry.reservation_id, None):
                    for owner in {found[0], EVERYBODY}:
                        at = (owner, found[1])
                        books.settled[at] = books.settled.get(at, 0) + entry.actual
            elif entry.reservation_id not in books.open:
                owners = {entry.key_id, EVERYBODY}
                fits = all(books.total(o, clock.now).total + entry.most <= LIMITS[o] for o in owners)
                assert (refused is None) == (fits or entry.most == 0)
                if refused is None:
                    ends = clock.now + entry.lease_s
                    books.open[entry.reservation_id] = (entry.key_id, day, entry.most, ends)

        for what, name, key, n in script:
            if what == "reserve" and name not in books.dead:
                pending.append(Reserve(name, key, n, LEASE_S, Budget(LIMITS[key])))
            elif what == "settle" and name in books.open and name not in books.dead:
                found = books.open[name]
                if clock.now < found[3]:  # the live settle within their lease
                    pending.append(Settle(name, int(found[2] * n)))
            elif what == "die":
                books.dead.add(name)
            elif what == "restart":
                ledger = made()
            if what == "time" or len(pending) >= batch:
                write()
                clock.now += n if what == "time" else 0
            for owner, limit in LIMITS.items():
                found = ledger.spent(owner)
                assert found == books.total(owner, clock.now)
                assert found.total <= limit


def test_many_threads_never_spend_more_than_there_is(path, clock):
    lets, lock = [], threading.Lock()

    def spend(worker):
        ledger = SpendLedger(path, clock, Budget(per_day=30))
        for n in range(8):
            try:
                ledger.reserve(wish(f"{worker}-{n}", 1))
            except BudgetExceeded:
                continue
            with lock:
                lets.append(n)

    workers = [threading.Thread(target=spend, args=(name,)) for name in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(lets) == 30
    assert SpendLedger(path, clock).spent() == Spent(0, 30)


SPEND = """
import sys
from pathlib import Path
from zoran_ray.access.budgets import Budget, Reserve, Settle
from zoran_ray.access.spend_ledger import SpendLedger
ledger = SpendLedger(Path(sys.argv[1]), lambda: 1_728_000_000.0, keep_open=sys.argv[3] == "True")
n = 0
while True:
    reserved = [Reserve(f"{sys.argv[2]}-{n + i}", "k", 5, 60.0) for i in range(3)]
    ledger.book(reserved)
    for wish in reserved:
        print("reserved", wish.reservation_id, flush=True)
    ledger.book([Settle(reserved[0].reservation_id, 2)])
    print("settled", reserved[0].reservation_id, flush=True)
    n += 3
"""


@pytest.mark.parametrize("keep_open", [True, False])
def test_kill_loses_nothing_that_was_acknowledged(path, keep_open):
    """Writers are killed as they write; what they had been told was done must be there."""
    reserved, settled = set(), set()
    for life in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", SPEND, str(path), str(life), str(keep_open)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        with writer:
            for count, line in enumerate(writer.stdout):
                if count == 10 + 7 * life:
                    os.kill(writer.pid, signal.SIGKILL)
                if line.endswith("\n"):
                    what, name = line.split()
                    (reserved if what == "reserved" else settled).add(name)
    ledger = SpendLedger(path, lambda: 1_728_000_000.0)
    with ledger._db.read() as db:
        live = {name for (name,) in db.execute("SELECT reservation_id FROM reservations WHERE live = 1")}
    assert reserved - settled - live <= {n for n in reserved if int(n.split("-")[1]) % 3 == 0}
    assert not settled & live
    found = ledger.spent("k")
    assert found == ledger.spent()
    assert found.reserved == 5 * len(live)
    assert found.settled % 2 == 0
    # Each life may have settled or reserved one batch more than it could say.
    assert len(settled) <= found.settled // 2 <= len(settled) + 4
