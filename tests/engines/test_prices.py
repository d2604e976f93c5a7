"""Costs are exact, rounded up once, and never above the bound."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.engines.prices import MOST_TOKENS, Prices
from zoran_ray.errors import InvalidRequest, UpstreamError
from zoran_ray.offers import Offer
from zoran_ray.wire import Usage

tokens = st.one_of(st.integers(0, 40), st.integers(0, 10**7))
amounts = st.integers(0, 10**12)
prices = st.builds(Prices, amounts, amounts, amounts)


@given(prices, tokens, tokens, tokens)
def test_a_cost_is_the_exact_sum_rounded_up(p, prompt, completion, cached):
    read = min(cached, prompt)
    exact = Fraction((prompt - read) * p.input + read * p.cached_input + completion * p.output, 10**6)
    assert 0 <= p.cost(Usage(prompt, completion, cached)) - exact < 1


@given(prices, tokens, tokens, tokens, tokens, tokens)
def test_no_request_within_the_bound_costs_more(p, prompt, completion, cached, more, longer):
    assert p.cost(Usage(prompt, completion, cached)) <= p.most(prompt + more, completion + longer)


def test_prices_are_taken_as_they_are_written():
    offer = Offer(
        context_tokens=1,
        usd_per_million_input=0.1,
        usd_per_million_output=0.6,
        usd_per_million_cached_input=0.0375,
    )
    assert Prices.of(offer) == Prices(100_000_000, 600_000_000, 37_500_000)
    assert Prices.of(offer).cost(Usage(1_000_000, 0, 1_000_000)) == 37_500_000
    assert Prices.of(offer).cost(Usage(1, 0, 0)) == 100


def test_cached_tokens_cost_as_others_where_nothing_is_said():
    assert Prices.of(Offer(usd_per_million_input=2)).cached_input == 2_000_000_000


def test_free_is_free():
    assert Prices.of(Offer()).free
    assert Prices.of(Offer()).cost(Usage(10**9, 10**9)) == 0
    assert not Prices(cached_input=1).free


@pytest.mark.parametrize("count", [-1, float("nan"), 1.5, True, MOST_TOKENS + 1])
def test_counts_that_make_no_sense(count):
    for usage in (Usage(count), Usage(0, count), Usage(5, 0, count)):
        with pytest.raises(UpstreamError):
            Prices().cost(usage)
    for pair in ((count, 0), (0, count)):
        with pytest.raises(InvalidRequest):
            Prices().most(*pair)
