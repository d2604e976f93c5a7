import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.access.money import MOST_NANO_USD, nano_usd, shown, usd
from zoran_ray.errors import ConfigError


@pytest.mark.parametrize(
    ("amount", "nano"),
    [(0, 0), (1, 10**9), (0.1, 10**8), (1e-9, 1), (1e-10, 1), (0.30, 3 * 10**8), (10**8, MOST_NANO_USD)],
)
def test_amounts_are_taken_as_they_are_written(amount, nano):
    assert nano_usd(amount, "x") == nano


@pytest.mark.parametrize(
    "amount", [float("nan"), float("inf"), float("-inf"), -1, -1e-12, True, 1e9, "1", None]
)
def test_what_is_no_amount(amount):
    with pytest.raises(ConfigError, match="usd_per_day must be an amount") as caught:
        nano_usd(amount, "usd_per_day")
    assert caught.value.param == "usd_per_day"


@given(st.integers(0, 10**15))
def test_there_and_back(nano):
    assert nano_usd(usd(nano), "x") == nano


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (23_000, "$0.000023"),
        (1_500_000_000, "$1.50"),
        (12_345_000_000_000, "$12345.00"),
        (-1_500_000_000, "-$1.50"),
    ],
)
def test_shown(nano, text):
    assert shown(nano) == text
