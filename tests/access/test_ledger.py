import pickle

import pytest

from tests.clock import Clock
from zoran_ray.access.leases import Ask, Charge, Receipt, Refund
from zoran_ray.access.ledger import Ledger
from zoran_ray.errors import Overloaded


@pytest.fixture
def clock():
    return Clock(1000.0)


@pytest.fixture
def ledger(clock):
    return Ledger(clock, "first")


def requests(need, want=None, limit=10, key="k"):
    return Ask(key, "requests", need, want or need, limit)


def test_grants_between_need_and_want(ledger):
    (grant,) = ledger.lease([requests(2, 8)])
    assert (grant.granted, grant.remaining, grant.retry_after_s) == (8, 2, 0)
    (grant,) = ledger.lease([requests(1, 8)])
    assert (grant.granted, grant.remaining) == (2, 0)
    (grant,) = ledger.lease([requests(1)])
    assert grant.granted == 0
    assert grant.retry_after_s == grant.reset_s == 61.5


def test_all_or_none(ledger):
    tokens = Ask("k", "tokens", 50, 50, 40)
    first, second = ledger.lease([requests(1), tokens])
    assert first.granted == second.granted == 0
    assert first.retry_after_s == 0
    assert second.retry_after_s > 0
    assert first.remaining == 10


def test_settles_before_it_grants(ledger):
    (full,) = ledger.lease([requests(10)])
    (grant,) = ledger.lease([requests(3)], [Refund("k", "requests", 3, full.receipt)])
    assert grant.granted == 3


def test_refund_of_what_is_gone_or_unknown_changes_nothing(ledger, clock):
    (old,) = ledger.lease([requests(10)])
    clock.now += 62
    ledger.lease([requests(10)])
    ledger.lease([], [Refund("k", "requests", 10, old.receipt), Refund("other", "tokens", 1, old.receipt)])
    assert ledger.lease([requests(1)])[0].granted == 0


def test_refund_to_another_life_changes_nothing(clock):
    ledger = Ledger(clock, "second")
    ledger.lease([requests(10)])
    ledger.lease([], [Refund("k", "requests", 10, Receipt("first", clock.now))])
    assert ledger.lease([requests(1)])[0].granted == 0


def test_charge_counts_even_above_the_limit(ledger, clock):
    ledger.lease([], [Charge("k", "requests", 15, 10)])
    assert ledger.lease([requests(1)])[0].granted == 0
    clock.now += 62
    assert ledger.lease([requests(10)])[0].granted == 10


def test_units_of_a_lost_gateway_leave_with_their_window(ledger, clock):
    ledger.lease([requests(10)])
    clock.now += 61
    assert ledger.lease([requests(1)])[0].granted == 0  # a minute and the life of a lease
    clock.now += 0.5
    assert ledger.lease([requests(10)])[0].granted == 10


def test_keeps_only_what_was_used_in_the_last_minute(ledger, clock):
    for i in range(500):
        ledger.lease([requests(1, key=f"k{i}")])
        clock.now += 1
    assert len(ledger) <= 63


def test_refuses_one_key_too_many_instead_of_forgetting_one(clock):
    ledger = Ledger(clock, "first", max_windows=2)
    for key in "ab":
        ledger.lease([requests(10, key=key)])
    with pytest.raises(Overloaded):
        ledger.lease([requests(1, key="c")])
    assert ledger.lease([requests(1, key="a")])[0].granted == 0
    clock.now += 62
    assert ledger.lease([requests(1, key="c")])[0].granted == 1


def test_messages_survive_pickling(ledger):
    (grant,) = ledger.lease([requests(1)])
    for message in (
        grant,
        requests(1),
        Refund("k", "tokens", 1, grant.receipt),
        Charge("k", "tokens", 1, 2),
    ):
        assert pickle.loads(pickle.dumps(message)) == message
