"""Confidence: a formula over facts that no doubt ever raises."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.autopilot.confidence import ChangeFacts, Weights, confidence

COUNT = st.integers(0, 10**9)
FACTS = st.builds(
    ChangeFacts, st.booleans(), COUNT, COUNT, COUNT, st.integers(1, 100), COUNT, COUNT,
    st.none() | st.floats(),
)  # fmt: skip


@given(facts=FACTS)
def test_it_is_a_share_and_below_one_half_without_evidence(facts: ChangeFacts) -> None:
    sure = confidence(facts)
    assert 0 <= sure <= 1
    assert facts.holds or sure < 0.5


@given(facts=FACTS, more=st.integers(1, 10**9))
@pytest.mark.parametrize("name", ["lines", "files", "risky", "tries", "still_failing", "flaky"])
def test_no_doubt_raises_it(name: str, facts: ChangeFacts, more: int) -> None:
    worse = replace(facts, **{name: getattr(facts, name) + more})
    assert confidence(worse) <= confidence(facts)
    assert confidence(replace(facts, holds=False)) <= confidence(facts)


@given(facts=FACTS, low=st.floats(0, 1), high=st.floats(0, 1))
def test_what_tests_ran_never_lowers_it(facts: ChangeFacts, low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert confidence(replace(facts, coverage=low)) <= confidence(replace(facts, coverage=high))


def test_what_it_comes_to() -> None:
    small = ChangeFacts(holds=True, lines=2, files=1)
    assert confidence(small) == pytest.approx(1 / (1 + math.exp(-(4.6 - 0.25 * math.log2(3) - 0.1))))
    assert confidence(small) > 0.95
    assert confidence(replace(small, lines=10, tries=3)) > 0.95
    assert confidence(replace(small, risky=1)) < 0.95
    assert confidence(replace(small, lines=200)) < 0.95


@pytest.mark.parametrize(
    "wrong", [{"lines": -0.1}, {"bias": 40.0}, {"tries": math.nan}, {"files": math.inf}]
)
def test_weights_that_would_break_the_law_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"weight|bias"):
        Weights(**wrong)
