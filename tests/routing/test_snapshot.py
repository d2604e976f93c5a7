"""Decisions from one picture: staying, ranking, explaining, and budgets that requests bring."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import NoArmFits
from zoran_ray.routing import (
    AGENTS,
    TASKS,
    Arm,
    ArmPrice,
    Features,
    Feedback,
    Objective,
    Outcome,
    Prompt,
)
from zoran_ray.routing.pacer import usd_weights
from zoran_ray.routing.resonator import Resonator
from zoran_ray.routing.spending import BUDGETS

SIZE = 24
ARMS = [
    Arm("cheap", ArmPrice(input_usd=1e-8, output_usd=1e-7)),
    Arm("fair", ArmPrice(output_usd=1e-6)),
    Arm("dear", ArmPrice(output_usd=1e-4)),
]
QUALITY = (0.4, 0.7, 0.75)
CODE, TALK = Features(SIZE)(Prompt("Write a python function")), Features(SIZE)(Prompt("hello"))


def learned(budget_usd: float = math.inf) -> Resonator:
    router = Resonator(ARMS, SIZE, budget_usd=budget_usd)
    for n in range(300):
        arm = n % 3
        x = CODE if n % 2 else TALK
        quality = QUALITY[arm] + (0.2 if arm == 0 and n % 2 else 0.0)
        usd = 200 * ARMS[arm].price.output_usd
        router.learn(
            Feedback(x, arm, Outcome(quality, 200.0, 1.0 + arm), usd, 10.0, ("other", "code")[n % 2])
        )
    return router


@pytest.fixture(scope="module")
def router() -> Resonator:
    return learned()


@given(st.floats(0, 1, exclude_max=True), st.sampled_from([0, 1, 2]), st.floats(0, 2))
def test_a_conversation_changes_its_arm_only_for_enough(draw: float, current: int, cost: float) -> None:
    snapshot = ROUTER.snapshot()
    free = snapshot.choose(TALK, draw)
    loyal = snapshot.choose(TALK, draw, current=current, switch_cost=cost)
    row = snapshot.judge(TALK).draws[int(draw * 16)]
    if row[free.arm] - row[current] > cost:
        assert loyal.arm == free.arm
    else:
        assert loyal.arm == current
        assert (loyal.reason == "stays") == (free.arm != current)


ROUTER = learned()


def test_a_tool_loop_stays_for_any_gain_and_no_ban_is_overruled(router: Resonator) -> None:
    snapshot = router.snapshot()
    assert snapshot.choose(TALK, 0.5, current=0, switch_cost=math.inf).arm == 0
    assert snapshot.choose(TALK, 0.5, allowed=[1, 2], current=0, switch_cost=math.inf).arm != 0
    dear = snapshot.choose(TALK, 0.5, objective=Objective(max_usd=1e-3), current=2, switch_cost=math.inf)
    assert dear.arm != 2


def test_says_why(router: Resonator) -> None:
    snapshot = router.snapshot()
    assert snapshot.choose(TALK, 0.5, allowed=[1]).reason == "only arm"
    reasons = {snapshot.choose(TALK, (k + 0.5) / 16).reason for k in range(16)}
    assert "best value" in reasons
    assert reasons <= {"best value", "explore"}
    assert snapshot.choose(TALK, 0.5).snapshot_version == snapshot.version


@given(st.floats(0, 1, exclude_max=True), st.sampled_from([None, 0, 1, 2]), st.floats(0, 1))
def test_the_ranking_begins_with_the_choice(draw: float, current: int | None, cost: float) -> None:
    snapshot = ROUTER.snapshot()
    ranked = snapshot.ranked(TALK, draw, current=current, switch_cost=cost)
    assert sorted(ranked) == [0, 1, 2]
    assert ranked[0] == snapshot.choose(TALK, draw, current=current, switch_cost=cost).arm
    assert set(snapshot.ranked(TALK, draw, allowed=[0, 2])) == {0, 2}


def test_what_only_the_budget_bars_comes_last() -> None:
    snapshot = learned(budget_usd=2e-5).snapshot()
    assert snapshot.allowance_usd < 1e-3
    assert snapshot.ranked(TALK, 0.5)[-1] == 2
    with pytest.raises(NoArmFits):
        snapshot.ranked(TALK, 0.5, objective=Objective(max_usd=0.0))


def test_explains_every_arm(router: Resonator) -> None:
    snapshot, prompt = router.snapshot(), Prompt("Write a python function")
    names = Features(SIZE).names(prompt)
    views = snapshot.explain(
        CODE,
        input_tokens=10.0,
        objective=Objective(max_usd=1e-3, latency_slo_ms=2500.0),
        allowed=[0, 2],
        names=names,
        excluded={"fair": "it has no tools"},
    )
    cheap, fair, dear = views
    assert [view.name for view in views] == ["cheap", "fair", "dear"]
    assert fair.excluded == "it has no tools"
    assert "max_usd" in (dear.excluded or "")
    assert cheap.excluded is None
    assert cheap.propensity == 1.0
    assert fair.propensity == dear.propensity == 0.0
    for view, quality in zip(views, (0.6, 0.7, 0.75), strict=True):
        assert view.quality_low < view.quality < view.quality_high
        assert view.quality == pytest.approx(quality, abs=0.1)
        assert view.output_tokens == pytest.approx(200, rel=0.2)
    assert cheap.latency_ms < fair.latency_ms < dear.latency_ms
    assert cheap.late is not None
    assert dear.late is not None
    assert cheap.late < 0.5 < dear.late
    assert dear.usd == pytest.approx(0.02, rel=0.2)
    assert cheap.features
    assert all(name in names or name.startswith("entry") for name, _ in cheap.features)


def test_without_bars_nothing_is_excluded_and_shares_are_those_of_choices(router: Resonator) -> None:
    snapshot = router.snapshot()
    views = snapshot.explain(TALK)
    assert all(view.excluded is None and view.late is None for view in views)
    chosen = [snapshot.choose(TALK, (k + 0.5) / 16).arm for k in range(16)]
    for arm, view in enumerate(views):
        assert view.propensity == np.mean([c == arm for c in chosen])
    assert all(view.excluded for view in snapshot.explain(TALK, allowed=[]))


def test_a_requests_own_budget_is_kept_by_its_choices() -> None:
    snapshot = ROUTER.publication("e")
    for budget in (2e-5, 2e-4, 2e-3):
        objective = Objective(budget_usd_per_1k=1000 * budget)
        usd = [
            snapshot.choose(x, (k + 0.5) / 16, objective=objective).usd
            for k in range(16)
            for x in (CODE, TALK)
        ]
        assert np.mean(usd) <= 1.5 * max(budget, 2e-5)
    assert snapshot.choose(TALK, 0.5).usd > 1e-4, "without a budget the best is worth its price"
    # A deployment's budget cannot be undone by a request.
    poor = learned(budget_usd=3e-5).publication("e")
    assert poor.choose(TALK, 0.5, objective=Objective(budget_usd_per_1k=1e6)).arm != 2


@given(st.integers(0, 200))
def test_weights_of_a_dollar_hold_their_budgets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    quality, usd = rng.random((40, 4)), rng.lognormal(-8, 2, (40, 4))
    weights = usd_weights(quality, usd)
    assert (np.diff(weights.weights) <= 0).all()
    for budget in BUDGETS:
        spent = usd[np.arange(40), (quality - weights.at(budget) * usd).argmax(axis=1)].mean()
        assert spent <= max(budget * 1.05, usd.min(axis=1).mean() * 1.001)
    assert weights.at(1e9) == weights.weights[-1]
    assert weights.at(1e-30) == weights.weights[0]


def test_free_arms_need_no_weight() -> None:
    weights = usd_weights(np.array([[0.2, 0.9]]), np.zeros((1, 2)))
    assert (weights.weights == 0).all()


def test_a_publication_travels() -> None:
    sent = ROUTER.publication("life-1")
    got = pickle.loads(pickle.dumps(sent))
    assert (got.epoch, got.version, got.guard) == ("life-1", sent.version, sent.guard)
    assert got.arms == ("cheap", "fair", "dear")
    assert got.choose(CODE, 0.3) == sent.choose(CODE, 0.3)
    assert set(got.tasks) == set(got.agents) == set(TASKS)
    assert len(got.tasks["code"]) == 3
    assert len(got.agents["code"]) == len(AGENTS)
    assert (got.index("fair"), got.index("none"), got.size) == (1, None, SIZE)
