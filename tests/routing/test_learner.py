import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoran_ray.errors import ConfigError
from zoran_ray.routing.feedback import DRAWS, LATENCY, QUALITY, TOKENS, Outcome, Prior
from zoran_ray.routing.learner import ArmLearner

SIZE = 16


def scores(learner: ArmLearner) -> np.ndarray:
    """float64[slopes, 1 + members, size]: mean and draws of each belief."""
    return np.asarray(learner.state()["stack"][:, : 1 + learner.prior.members])


def covariances(learner: ArmLearner) -> np.ndarray:
    """float64[slopes, size, size]."""
    return np.asarray(learner.state()["stack"][:, 1 + learner.prior.members :])


def contexts(n: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, SIZE)) / 4
    x[:, 0] = 1.0
    return x


def test_each_belief_is_the_ridge_regression_it_says_it_is() -> None:
    """Without forgetting, the recursive solution is the closed one of regression weighted by each noise."""
    prior = Prior(remembered=float("inf"), members=2, slopes=(0.0, 0.1))
    learner = ArmLearner(SIZE, prior, np.random.default_rng(0))
    x = contexts(200)
    y = np.clip(0.5 + x @ np.linspace(-0.3, 0.3, SIZE), 0, 1)
    weight = np.zeros(len(x))
    for n, (row, value) in enumerate(zip(x, y, strict=True)):
        weight[n] = 1.0 / max(learner.residual_var[QUALITY], 0.0025)
        learner.learn(row, Outcome(quality=float(value)))
    scale = np.full(SIZE, 0.1)
    scale[0] = prior.spread
    precision, start = np.diag(scale**-2.0), np.eye(SIZE)[0] * prior.first_quality
    seen = x.T * weight
    expected = np.linalg.solve(precision + seen @ x, precision @ start + seen @ y)
    np.testing.assert_allclose(scores(learner)[1, 0], expected, atol=1e-8)
    np.testing.assert_allclose(covariances(learner)[1], np.linalg.inv(precision + seen @ x), atol=1e-8)
    # The one that lets prompts say nothing is the weighted mean.
    mean = (prior.first_quality / prior.spread**2 + weight @ y) / (prior.spread**-2 + weight.sum())
    np.testing.assert_allclose(scores(learner)[0, 0], mean * np.eye(SIZE)[0], atol=1e-8)
    assert np.count_nonzero(covariances(learner)[0]) == 1


@pytest.mark.parametrize(("says", "constant"), [(0.0, True), (0.3, False)])
def test_believes_what_forecasts_best(says: float, constant: bool) -> None:
    """Where prompts say nothing the constant belief wins, and where they say much it loses."""
    learner, rng = ArmLearner(SIZE, Prior(), np.random.default_rng(0)), np.random.default_rng(1)
    for row in contexts(600):
        score = 0.5 + says * np.sign(row[1]) + 0.1 * rng.normal()
        learner.learn(row, Outcome(quality=float(np.clip(score, 0, 1))))
    assert learner.beliefs.sum() == pytest.approx(1.0)
    assert (learner.beliefs[0] > 0.5) == constant


def test_draws_gather_around_the_mean_as_the_posterior_says() -> None:
    prior = Prior(remembered=float("inf"), members=400)
    learner = ArmLearner(SIZE, prior, np.random.default_rng(1))
    for row in contexts(300, 2):
        learner.learn(row, Outcome(quality=0.5))
    x = contexts(1, 3)[0]
    for belief, covariance in zip(scores(learner), covariances(learner), strict=True):
        assert np.var((belief[1:] - belief[0]) @ x) == pytest.approx(x @ covariance @ x, rel=0.25)
    np.testing.assert_allclose(learner.weights[QUALITY:], np.tensordot(learner.beliefs, scores(learner), 1))


def test_heads_learn_only_what_is_known() -> None:
    learner = ArmLearner(SIZE, Prior(), np.random.default_rng(0))
    before = learner.weights.copy()
    learner.learn(contexts(1)[0], Outcome(output_tokens=100.0))
    assert (learner.weights[QUALITY] == before[QUALITY]).all()
    assert (learner.weights[DRAWS:] == before[DRAWS:]).all()
    assert not (learner.weights[TOKENS] == before[TOKENS]).all()


def doubt(learner: ArmLearner) -> float:
    return float(np.trace(covariances(learner), axis1=1, axis2=2).sum())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(5, 500))
def test_never_less_sure_than_the_prior(seed: int, remembered: float) -> None:
    learner = ArmLearner(SIZE, Prior(remembered=remembered), np.random.default_rng(seed))
    widest = doubt(learner)
    for row in np.repeat(contexts(3, seed), 100, axis=0):
        learner.learn(row, Outcome(quality=0.9))
    assert doubt(learner) <= widest * (1 + 1e-9)
    assert covariances(learner)[0, 0, 0] <= Prior().spread ** 2 * (1 + 1e-9)
    assert np.isfinite(learner.weights).all()
    for covariance in covariances(learner):
        assert np.linalg.eigvalsh((covariance + covariance.T) / 2).min() > -1e-9


def test_softened_it_doubts_but_keeps_its_mean() -> None:
    learner = ArmLearner(SIZE, Prior(), np.random.default_rng(0))
    for row in contexts(500):
        learner.learn(row, Outcome(quality=0.9))
    mean, sure = learner.weights[QUALITY].copy(), doubt(learner)
    learner.soften()
    np.testing.assert_allclose(learner.weights[QUALITY], mean)
    assert doubt(learner) > 3 * sure


def test_only_an_arm_that_has_changed_is_doubted_more_while_nobody_asks_it() -> None:
    learner, x = ArmLearner(SIZE, Prior(members=200), np.random.default_rng(0)), np.eye(SIZE)[0]
    for row in contexts(500):
        learner.learn(row, Outcome(quality=0.9))
    assert not learner.rest(100)
    learner.soften()
    for row in contexts(50):
        learner.learn(row, Outcome(quality=0.5))
    before = np.std(learner.weights[DRAWS:] @ x)
    assert learner.rest(100)
    assert np.std(learner.weights[DRAWS:] @ x) > 2 * before
    learner.rest(1_000_000)
    assert covariances(learner)[0, 0, 0] <= Prior().spread ** 2 * (1 + 1e-9)


def test_an_arm_that_has_become_slow_is_hoped_to_be_quick_again() -> None:
    learner, x = ArmLearner(SIZE, Prior(), np.random.default_rng(0)), np.eye(SIZE)[0]

    def seconds() -> float:
        return float(np.exp(learner.weights[LATENCY] @ x))

    for _ in range(200):
        learner.learn(x, Outcome(latency_s=1.0))
    learner.rest(1000)
    assert seconds() == pytest.approx(1.0, rel=0.1)
    learner.soften_service()
    for _ in range(5):
        learner.learn(x, Outcome(latency_s=20.0))
    assert seconds() > 8.0
    assert learner.rest(300)
    assert seconds() < 2.0
    # Asked again and again without being quicker, it is slow.
    for _ in range(2000):
        learner.learn(x, Outcome(latency_s=20.0))
    learner.rest(300)
    assert seconds() == pytest.approx(20.0, rel=0.1)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_score_can_be_taken_back_in_part(share: float, score: float) -> None:
    one, two = (ArmLearner(SIZE, Prior(), np.random.default_rng(0)) for _ in range(2))
    x = contexts(1)[0]
    before = scores(one)
    one.learn(x, Outcome(quality=score))
    two.learn(x, Outcome(quality=score))
    two.keep_only(share)
    full, part = scores(one) - before, scores(two) - before
    np.testing.assert_allclose(part, share * full, atol=1e-12)
    two.keep_only(0.0)
    np.testing.assert_allclose(scores(two) - before, part, atol=1e-12)


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
