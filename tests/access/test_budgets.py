"""What may be asked of the ledger, and what is said to those it refuses."""

import pickle

import pytest

from zoran_ray.access.budgets import (
    DAY_S,
    EVERYBODY,
    MOST_LEASE_S,
    Budget,
    Reserve,
    Settle,
    Spent,
    refusal,
)
from zoran_ray.access.money import MOST_NANO_USD
from zoran_ray.errors import ConfigError, InvalidRequest

USD = 10**9
DAY = 20_000  # 2024-10-04


def wish(most, key="key-1"):
    return Reserve("r", key, most, 60.0)


def test_budgets_are_written_in_usd():
    assert Budget.of_usd(1.5, 0.01) == Budget(1_500_000_000, 10_000_000)
    assert Budget.of_usd().unlimited
    assert not Budget.of_usd(per_day=0).unlimited


@pytest.mark.parametrize("amount", [-1, float("nan"), float("inf"), True])
def test_budgets_that_are_none(amount):
    with pytest.raises(ConfigError, match="usd_per_day"):
        Budget.of_usd(amount)
    with pytest.raises(ConfigError, match="usd_per_request"):
        Budget.of_usd(None, amount)


@pytest.mark.parametrize("amount", [-1, 1.0, True, float("nan"), MOST_NANO_USD + 1, None])
def test_amounts_that_are_none(amount):
    with pytest.raises(InvalidRequest):
        wish(amount)
    with pytest.raises(InvalidRequest):
        Reserve("r", "k", 1, 60.0, already=amount)
    with pytest.raises(InvalidRequest):
        Settle("r", amount)


@pytest.mark.parametrize("lease_s", [0, -1, float("nan"), float("inf"), MOST_LEASE_S + 1])
def test_leases_that_are_none(lease_s):
    with pytest.raises(InvalidRequest):
        Reserve("r", "k", 1, lease_s)


@pytest.mark.parametrize("name", ["", "x" * 201])
def test_ids_that_are_none(name):
    with pytest.raises(InvalidRequest):
        Reserve(name, "k", 1, 1)
    with pytest.raises(InvalidRequest):
        Settle(name, 1)


def test_up_to_the_budget_and_not_beyond():
    budget = Budget(per_day=10, per_request=8)
    assert refusal(wish(8), "key-1", budget, Spent(1, 1), DAY) is None
    assert refusal(wish(8), "key-1", budget, Spent(1, 2), DAY) is not None
    assert refusal(wish(9), "key-1", budget, Spent(), DAY) is not None
    assert refusal(wish(10**15), "key-1", Budget(), Spent(10**15), DAY) is None


def test_what_is_free_is_never_refused():
    assert refusal(wish(0), "key-1", Budget(per_day=0, per_request=0), Spent(5), DAY) is None


def test_says_which_budget_what_is_left_and_when_it_renews():
    told = refusal(wish(USD // 4), "key-1", Budget(per_day=2 * USD), Spent(USD, USD - USD // 10), DAY)
    assert told.message == (
        "The budget of this API key is $2.00 a day; $0.10 is left, and this request may cost up to $0.25."
        " It renews at 2024-10-05 00:00 UTC."
    )
    assert (told.retry_after_s, told.retryable, told.code) == (None, False, "budget_exceeded")
    told = refusal(wish(2), EVERYBODY, Budget(per_day=1), Spent(5), DAY)
    assert told.message.startswith("The budget of this deployment is $0.000000001 a day; $0.00 is left")
    assert told.message.endswith("Lower max_tokens, shorten the prompt or choose a cheaper model.")


def test_says_what_one_request_may_cost():
    told = refusal(wish(USD), "key-1", Budget(per_request=USD // 2), Spent(), DAY)
    assert told.message.startswith(
        "The budget of this API key is $0.50 for one request, and this one may cost up to $1.00."
    )
    assert told.param == "max_tokens"


def test_entries_survive_pickling():
    for entry in (wish(5), Settle("r", 3), Budget(1, 2), Spent(1, 2)):
        assert pickle.loads(pickle.dumps(entry)) == entry


def test_a_day_has_its_length():
    assert DAY_S == 24 * 60 * 60
