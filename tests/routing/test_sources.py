"""The bound on what one source of scores may say: its law, whatever the scores are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoran_ray.errors import ConfigError
from zoran_ray.routing import Arm, Features, Feedback, Outcome, Prompt, Sources
from zoran_ray.routing.features import CUES
from zoran_ray.routing.resonator import Resonator
from zoran_ray.routing.sources import PRESENCE_S, SHARE, WINDOW_S, reach

SIZE = 24
NOW = 1_700_000_000.0
MOVED = 0.1
TEXTS = [
    "hello there", "Write a python function", "Solve 3 + 4 = x", "Explain why 12 + 1 is odd",
    "Which?\n(A) one\n(B) two", "Où est le café ?", "draft a letter to my bank about a loan", "x" * 5000,
]  # fmt: skip
PROMPTS = [
    Features(SIZE)(Prompt(text, turns, structured))
    for text in TEXTS
    for turns, structured in ((1, False), (9, True))
]

scores = st.lists(
    st.tuples(st.integers(0, len(PROMPTS) - 1), st.floats(0, 1), st.sampled_from([0.25, 1.0])), max_size=120
)


def router(seed: int, honest: int) -> Resonator:
    """One that has learned from two other sources."""
    made = Resonator([Arm("a"), Arm("b")], SIZE, seed=seed, sources=Sources(20, MOVED))
    rng = np.random.default_rng(seed)
    for n in range(honest):
        x = PROMPTS[int(rng.integers(len(PROMPTS)))]
        made.learn(Feedback(x, n % 2, Outcome(0.8), source=f"honest-{n % 4 < 2}", at=NOW + n))
    return made


def expected(made: Resonator) -> np.ndarray:
    """float64[prompts, arms]: what is expected of each arm for every prompt there is here."""
    return np.array([made.snapshot().estimates(x)[2] for x in PROMPTS])


@settings(max_examples=40)
@given(scores, st.integers(0, 50), st.sampled_from([4, 60, 300]))
def test_one_source_moves_no_expectation_further_than_it_may(
    said: list[tuple[int, float, float]], seed: int, honest: int
) -> None:
    """Whatever it says, however often, of whichever prompts; of new arms as of known ones."""
    made = router(seed, honest)
    before = expected(made)
    for prompt, score, weight in said:
        made.score(PROMPTS[prompt], 0, score, source="liar", at=NOW + honest, weight=weight)
    assert np.abs(expected(made) - before).max() <= MOVED + 1e-9


@settings(max_examples=10)
@given(st.integers(0, 50), st.floats(0, 1))
def test_a_flood_moves_no_further_either(seed: int, score: float) -> None:
    made = router(seed, 100)
    before = expected(made)
    for n in range(3000):
        made.learn(
            Feedback(PROMPTS[n % 3], n % 2, Outcome(score), failed=n % 5 == 0, source="liar", at=NOW + 100)
        )
    assert np.abs(expected(made) - before).max() <= MOVED + 1e-9
    assert made.rollbacks == 0


def test_scores_that_nothing_bounds_do_move_it() -> None:
    """The same flood without a bound: the law above is not idle."""
    made = router(0, 100)
    before = expected(made)
    for n in range(300):
        made.score(PROMPTS[n % 3], 0, 0.0, source="", at=NOW + 100)
    assert np.abs(expected(made) - before).max() > 3 * MOVED


def test_who_is_alone_is_believed_until_somebody_else_comes() -> None:
    made = Resonator([Arm("a"), Arm("b")], SIZE, sources=Sources(20, MOVED))
    for n in range(60):
        made.learn(Feedback(PROMPTS[0], 0, Outcome(0.1), source="alone", at=NOW + n))
    assert made.snapshot().estimates(PROMPTS[0])[2, 0] < 0.2
    made.learn(Feedback(PROMPTS[0], 1, Outcome(0.5), source="other", at=NOW + 60))
    before = expected(made)
    for n in range(500):
        made.score(PROMPTS[0], 0, 1.0, source="alone", at=NOW + 61 + n / 1000)
    assert np.abs(expected(made) - before).max() <= MOVED + 1e-9
    week = NOW + 62 + PRESENCE_S
    for n in range(60):
        made.learn(Feedback(PROMPTS[0], 0, Outcome(0.9), source="alone", at=week + n))
    assert made.snapshot().estimates(PROMPTS[0])[2, 0] > 0.5


def test_a_bound_is_for_a_while() -> None:
    made = router(1, 100)
    before = expected(made)[0, 0]
    for hour in range(6):
        for _ in range(50):
            made.score(PROMPTS[0], 0, 0.0, source="slow", at=NOW + 100 + hour * WINDOW_S)
    moved = before - expected(made)[0, 0]
    assert MOVED < moved <= 6 * MOVED + 1e-9


@given(
    st.lists(
        st.tuples(st.sampled_from("xyz"), st.floats(0, 30), st.sampled_from([0.25, 1.0])), max_size=200
    )
)
def test_weight_is_granted_by_the_law(asked: list[tuple[str, float, float]]) -> None:
    sources, at = Sources(5.0), NOW
    for source in "xyz":
        sources.seen(source, at)
    granted: dict[tuple[str, bool], float] = {}
    for source, wait, weight in asked:
        at += wait
        got = sources.grant(source, weight, at)
        assert 0 <= got <= weight
        granted[source, weight < 1] = granted.get((source, weight < 1), 0.0) + got
    total = sum(granted.values())
    for (source, weak), own in granted.items():
        others = total - own - granted.get((source, not weak), 0.0)
        most = 5.0 + 5.0 * (at - NOW) / WINDOW_S + SHARE / (1 - SHARE) * others
        assert own <= most + 1e-9


@given(st.lists(st.floats(-1, 1), min_size=SIZE, max_size=SIZE))
def test_no_prompt_feels_a_step_more_than_its_reach(step: list[float]) -> None:
    weights = np.array(step)
    assert max(abs(float(weights @ x)) for x in PROMPTS) <= reach(weights) + 1e-9
    assert len(CUES) < SIZE


def test_memory_is_bounded_and_survives_a_checkpoint() -> None:
    sources = Sources(20, MOVED, most=8)
    for n in range(100):
        sources.seen(f"s{n}", NOW + n)
        sources.grant(f"s{n}", 1.0, NOW + n)
        sources.share_of(f"s{n}", "a", np.full(SIZE, 0.01), NOW + n)
    assert len(sources) == 8
    again = Sources(20, MOVED, most=8)
    again.restore(sources.state())
    step = np.full(SIZE, 1.0)
    assert again.share_of("s99", "a", step, NOW + 100) == sources.share_of("s99", "a", step, NOW + 100) < 1
    assert again.grant("s99", 1.0, NOW + 100) == sources.grant("s99", 1.0, NOW + 100)
    again.forget_arms(frozenset())
    assert not again.state()["moved"]


@pytest.mark.parametrize("wrong", [{"scores": 0.0}, {"moved": -1.0}, {"most": 1}, {"moved": float("nan")}])
def test_impossible_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Sources(**wrong)  # type: ignore[arg-type]
