import math

import numpy as np
import pytest

from zoran_ray.errors import ConfigError, InvalidRequest, NoArmFits
from zoran_ray.routing import Arm, ArmPrice, Feedback, Objective, Outcome, Prior
from zoran_ray.routing.resonator import Resonator

SIZE = 16
CHEAP, DEAR = Arm("cheap", ArmPrice(output_usd=1e-6)), Arm("dear", ArmPrice(output_usd=1e-4))


def context(rng: np.random.Generator) -> np.ndarray:
    x = rng.normal(size=SIZE) / 4
    x[0] = 1.0
    return x


def live(router: Resonator, steps: int, quality, seed: int = 0) -> list[int]:
    """Route and learn: `quality(arm, x)` is the score. Returns the choices."""
    rng, chosen = np.random.default_rng(seed), []
    for _ in range(steps):
        x = context(rng)
        decision = router.snapshot().choose(x, rng.random())
        score = float(np.clip(quality(decision.arm, x) + rng.normal(0, 0.05), 0, 1))
        usd = 300 * [1e-6, 1e-4][decision.arm]
        router.learn(Feedback(x, decision.arm, Outcome(score, 300.0, 1.0), usd))
        chosen.append(decision.arm)
    return chosen


def test_finds_the_better_arm() -> None:
    chosen = live(Resonator([CHEAP, DEAR], SIZE), 400, lambda arm, x: (0.4, 0.8)[arm])
    assert np.mean(chosen[200:]) > 0.95


def test_finds_which_arm_is_better_for_which_prompt() -> None:
    chosen_for = []
    router = Resonator([CHEAP, DEAR], SIZE, seed=3)
    rng = np.random.default_rng(5)
    for _ in range(1500):
        x = context(rng)
        x[1] = rng.choice([-1.0, 1.0])
        arm = router.snapshot().choose(x, rng.random()).arm
        score = 0.9 if (x[1] > 0) == (arm == 1) else 0.4
        router.learn(Feedback(x, arm, Outcome(score, 300.0, 1.0)))
        chosen_for.append((x[1] > 0) == (arm == 1))
    assert np.mean(chosen_for[1000:]) > 0.95


def test_keeps_to_its_budget() -> None:
    budget = 1e-3
    chosen = live(Resonator([CHEAP, DEAR], SIZE, budget_usd=budget), 1500, lambda arm, x: (0.5, 0.9)[arm])
    spent = np.where(np.array(chosen) == 1, 300 * 1e-4, 300 * 1e-6).mean()
    assert 0.8 * budget < spent <= 1.02 * budget


def test_an_objective_is_a_matter_of_the_request() -> None:
    router = Resonator([CHEAP, DEAR], SIZE)
    live(router, 300, lambda arm, x: (0.4, 0.8)[arm])
    x, snapshot = context(np.random.default_rng(0)), router.snapshot()
    assert snapshot.choose(x, 0.5).arm == 1
    assert snapshot.choose(x, 0.5, objective=Objective(usd_weight=1e4)).arm == 0
    assert snapshot.choose(x, 0.5, objective=Objective(max_usd=1e-3)).arm == 0
    assert snapshot.choose(x, 0.5, allowed=[0]).arm == 0
    with pytest.raises(NoArmFits):
        snapshot.choose(x, 0.5, objective=Objective(max_usd=1e-3), allowed=[1])


def test_an_arm_that_is_too_slow_is_left() -> None:
    slow = Arm("slow", prior=Prior(latency_s=30.0))
    fast = Arm("fast", prior=Prior(latency_s=0.1))
    router = Resonator([slow, fast], SIZE)
    rng = np.random.default_rng(0)
    for _ in range(200):
        x = context(rng)
        for arm, seconds in ((0, 30.0), (1, 0.1)):
            router.learn(Feedback(x, arm, Outcome((0.9, 0.7)[arm], 10.0, seconds)))
    x = context(rng)
    assert router.snapshot().choose(x, 0.5).arm == 0
    assert router.snapshot().choose(x, 0.5, objective=Objective(latency_slo_ms=1000.0)).arm == 1


def test_propensities_are_shares_of_the_draws() -> None:
    snapshot = Resonator([CHEAP, DEAR], SIZE, seed=1).snapshot()
    x = context(np.random.default_rng(0))
    decisions = [snapshot.choose(x, (k + 0.5) / 16) for k in range(16)]
    for arm in (0, 1):
        share = np.mean([d.arm == arm for d in decisions])
        assert all(d.propensity == share for d in decisions if d.arm == arm)


@pytest.mark.parametrize(
    "wrong",
    [
        {"arm": 2},
        {"task": "cooking"},
        {"usd": math.nan},
        {"usd": -1.0},
        {"outcome": Outcome(quality=1.5)},
        {"outcome": Outcome(quality=math.nan)},
        {"outcome": Outcome(output_tokens=math.inf)},
        {"x": np.zeros(SIZE - 1)},
        {"x": np.full(SIZE, np.nan)},
    ],
)
def test_nonsense_changes_nothing(wrong: dict[str, object]) -> None:
    router = Resonator([CHEAP, DEAR], SIZE)
    before = router.snapshot()
    given = {"x": np.ones(SIZE), "arm": 0, "outcome": Outcome(0.5)} | wrong
    with pytest.raises(InvalidRequest):
        router.learn(Feedback(**given))  # type: ignore[arg-type]
    assert router.snapshot() is before


def test_goes_on_from_a_checkpoint() -> None:
    router = Resonator([CHEAP, DEAR], SIZE, budget_usd=1e-3)
    live(router, 300, lambda arm, x: (0.4, 0.8)[arm])
    again = Resonator([CHEAP, DEAR], SIZE, budget_usd=1e-3, seed=9)
    again.restore(router.state())
    x = context(np.random.default_rng(0))
    assert (again.snapshot().estimates(x) == router.snapshot().estimates(x)).all()
    assert again.snapshot().usd_weight == router.snapshot().usd_weight


def test_a_new_arm_joins_what_is_known() -> None:
    router = Resonator([CHEAP], SIZE)
    live(router, 100, lambda arm, x: 0.4)
    wider = Resonator([CHEAP, DEAR], SIZE)
    wider.restore(router.state())
    x = context(np.random.default_rng(0))
    assert wider.snapshot().estimates(x)[0, 0] == router.snapshot().estimates(x)[0, 0]


def test_a_fallen_arm_is_noticed_and_left() -> None:
    router = Resonator([CHEAP, DEAR], SIZE)
    live(router, 400, lambda arm, x: (0.5, 0.9)[arm])
    chosen = live(router, 200, lambda arm, x: (0.5, 0.1)[arm], seed=1)
    assert router.alarms[1] >= 1
    assert np.mean(chosen[100:]) < 0.1


@pytest.mark.parametrize("arms", [[], [CHEAP, CHEAP]])
def test_impossible_arms(arms: list[Arm]) -> None:
    with pytest.raises(ConfigError):
        Resonator(arms, SIZE)
