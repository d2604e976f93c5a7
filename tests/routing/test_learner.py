import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoran_ray.errors import ConfigError
from zoran_ray.routing.learner import DRAWS, QUALITY, TOKENS, ArmLearner, Outcome, Prior

SIZE = 16


def contexts(n: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, SIZE)) / 4
    x[:, 0] = 1.0
    return x


def test_is_the_ridge_regression_it_says_it_is() -> None:
    """Without forgetting, the recursive solution is the closed one of regression weighted by each noise."""
    prior = Prior(remembered=float("inf"), members=2)
    learner = ArmLearner(SIZE, prior, np.random.default_rng(0))
    start, x = learner.weights[QUALITY].copy(), contexts(200)
    precision = np.linalg.inv(learner.covariance)
    y = np.clip(0.5 + x @ np.linspace(-0.3, 0.3, SIZE), 0, 1)
    weight = np.zeros(len(x))
    for n, (row, value) in enumerate(zip(x, y, strict=True)):
        weight[n] = prior.noise**2 / max(learner.residual_var[QUALITY], 0.0025)
        learner.learn(row, Outcome(quality=float(value)))
    seen = x.T * weight
    expected = np.linalg.solve(precision + seen @ x, precision @ start + seen @ y)
    np.testing.assert_allclose(learner.weights[QUALITY], expected, atol=1e-8)
    np.testing.assert_allclose(learner.covariance, np.linalg.inv(precision + seen @ x), atol=1e-8)


def test_draws_gather_around_the_mean_as_the_posterior_says() -> None:
    prior = Prior(remembered=float("inf"), members=400)
    learner = ArmLearner(SIZE, prior, np.random.default_rng(1))
    for row in contexts(300, 2):
        learner.learn(row, Outcome(quality=0.5))
    spread = learner.weights[DRAWS:] - learner.weights[QUALITY]
    x = contexts(1, 3)[0]
    expected = prior.noise**2 * x @ learner.covariance @ x
    assert np.var(spread @ x) == pytest.approx(expected, rel=0.25)


def test_heads_learn_only_what_is_known() -> None:
    learner = ArmLearner(SIZE, Prior(), np.random.default_rng(0))
    before = learner.weights.copy()
    learner.learn(contexts(1)[0], Outcome(output_tokens=100.0))
    assert (learner.weights[QUALITY] == before[QUALITY]).all()
    assert (learner.weights[DRAWS:] == before[DRAWS:]).all()
    assert not (learner.weights[TOKENS] == before[TOKENS]).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(5, 500))
def test_never_less_sure_than_the_prior(seed: int, remembered: float) -> None:
    learner = ArmLearner(SIZE, Prior(remembered=remembered), np.random.default_rng(seed))
    widest = np.trace(learner.covariance)
    for row in np.repeat(contexts(3, seed), 100, axis=0):
        learner.learn(row, Outcome(quality=0.9))
    assert np.trace(learner.covariance) <= widest * (1 + 1e-9)
    assert np.isfinite(learner.weights).all()
    assert np.linalg.eigvalsh((learner.covariance + learner.covariance.T) / 2).min() > -1e-9


def test_softened_it_doubts_but_keeps_its_mean() -> None:
    learner = ArmLearner(SIZE, Prior(), np.random.default_rng(0))
    for row in contexts(500):
        learner.learn(row, Outcome(quality=0.9))
    mean, sure = learner.weights[QUALITY].copy(), np.trace(learner.covariance)
    learner.soften()
    assert (learner.weights[QUALITY] == mean).all()
    assert np.trace(learner.covariance) > 5 * sure


def test_goes_on_from_its_state() -> None:
    one, two = (ArmLearner(SIZE, Prior(), np.random.default_rng(s)) for s in (0, 1))
    for row in contexts(50):
        one.learn(row, Outcome(0.7, 20.0, 1.0))
    two.restore(one.state())
    assert (one.weights == two.weights).all()
    assert one.outcomes == two.outcomes


def test_refuses_a_state_that_does_not_fit() -> None:
    learner = ArmLearner(SIZE, Prior(), np.random.default_rng(0))
    other = ArmLearner(SIZE + 1, Prior(), np.random.default_rng(0)).state()
    broken = learner.state() | {"weights": learner.weights * np.nan}
    for state in (other, broken):
        with pytest.raises(ConfigError, match="checkpoint"):
            learner.restore(state)


@pytest.mark.parametrize("wrong", [{"quality": 1.5}, {"noise": 0.0}, {"members": 0}, {"latency_s": -1.0}])
def test_impossible_priors(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Prior(**wrong)  # type: ignore[arg-type]
