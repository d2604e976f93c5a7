import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.serving.stats import Spread, percentile, percentiles, slope

SAMPLES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50)


@given(SAMPLES, st.floats(0, 1))
def test_a_percentile_is_the_smallest_sample_that_covers_its_share(
    samples: list[float], share: float
) -> None:
    ordered = sorted(samples)
    found = percentile(ordered, share)
    assert found in samples
    assert sum(x <= found for x in ordered) >= share * len(ordered) - 1e-6
    assert sum(x < found for x in ordered) < share * len(ordered) or found == ordered[0]


def test_known_percentiles() -> None:
    found = percentiles(range(1, 101))
    assert found == {"p50": 50, "p95": 95, "p99": 99}
    assert percentiles([]) == {}


@given(SAMPLES)
def test_the_spread_holds_the_median(samples: list[float]) -> None:
    spread = Spread.of(samples)
    assert spread is not None
    assert spread.low <= spread.median <= spread.high
    assert spread.median == statistics.median(samples)
    assert spread.n == len(samples)


def test_no_samples_no_spread() -> None:
    assert Spread.of([]) is None


def test_the_slope_of_a_line() -> None:
    assert slope([(x, 3 * x + 1) for x in range(5)]) == pytest.approx(3)
    assert slope([(1, 5)]) == 0
    assert slope([(1, 5), (1, 7)]) == 0
