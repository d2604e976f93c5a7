"""Mixer, change detection, pacer and guard: each by its law."""

import math
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoran_ray.errors import ConfigError
from zoran_ray.routing import Guard, GuardSettings, Mixer, Verdict
from zoran_ray.routing.drift import PageHinkley
from zoran_ray.routing.pacer import BudgetPacer


@given(st.lists(st.integers(0, 3), max_size=100))
def test_a_mix_sums_to_one_and_follows_its_rule(choices: list[int]) -> None:
    mixer = Mixer(("code", "other"), 4)
    expected = np.full(4, 0.25)
    for choice in choices:
        mixer.observe("code", choice)
        expected = 0.9 * expected + 0.1 * np.eye(4)[choice]
    np.testing.assert_allclose(mixer.mix("code"), expected)
    assert mixer.mix("code").sum() == pytest.approx(1.0)
    assert (mixer.mix("other") == mixer.mix("code")).all(), "a cold class starts from the others' mean"


def test_a_cold_class_goes_on_from_the_mean_of_the_others() -> None:
    mixer = Mixer(("a", "b", "cold"), 2)
    mixer.observe("a", 0)
    mixer.observe("b", 1)
    before = mixer.mix("cold")
    np.testing.assert_allclose(before, (mixer.mix("a") + mixer.mix("b")) / 2)
    mixer.observe("cold", 1)
    np.testing.assert_allclose(mixer.mix("cold"), 0.9 * before + [0.0, 0.1])
    with pytest.raises(KeyError):
        mixer.observe("none", 0)
    with pytest.raises(IndexError):
        mixer.observe("a", 2)


@given(
    st.lists(st.integers(0, 2), max_size=30),
    st.lists(st.sampled_from([None, 0, 1, 2]), min_size=1, max_size=6),
)
def test_a_mix_over_other_things_is_still_one(choices: list[int], origins: list[int | None]) -> None:
    mixer = Mixer(("a", "b"), 3)
    for choice in choices:
        mixer.observe("a", choice)
    before = mixer.mix("a")
    mixer.rearrange(origins)
    after = mixer.mix("a")
    assert after.size == len(origins)
    assert after.sum() == pytest.approx(1.0)
    stays = [(k, o) for k, o in enumerate(origins) if o is not None]
    for (k, o), (m, p) in pairwise(stays):
        assert after[k] * before[p] == pytest.approx(after[m] * before[o]), "proportions stay"


def test_a_mix_survives_a_checkpoint_and_refuses_nonsense() -> None:
    mixer = Mixer(("a",), 2)
    mixer.observe("a", 1)
    other = Mixer(("a",), 2)
    other.restore(mixer.state())
    assert (other.mix("a") == mixer.mix("a")).all()
    for wrong in ([0.5], [0.5, math.nan], [2.0, -1.0], [0.1, 0.1]):
        with pytest.raises(ConfigError):
            other.restore({"a": wrong})


def test_change_is_noticed_and_steadiness_is_not() -> None:
    rng = np.random.default_rng(0)
    quiet = PageHinkley()
    assert not any(quiet.changed(float(z), 1.0) for z in rng.normal(size=500))
    fallen = [n for n in range(200) if quiet.changed(float(rng.normal() - 1.5), 1.0)]
    assert fallen
    assert not PageHinkley().changed(math.nan, 1.0)


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-5, 2e-2), st.integers(0, 100))
def test_spending_keeps_to_the_budget(budget: float, seed: int) -> None:
    """Two arms, the dearer one better: the mean never ends above the budget by more than one request."""
    rng, pacer = np.random.default_rng(seed), BudgetPacer(budget)
    dear, total, n = 10 * budget, 0.0, 1500
    latest: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(n):
        quality = np.array([0.5, 0.9]) + rng.normal(0, 0.1, 2)
        usd = np.array([0.1 * budget, dear]) * rng.lognormal(0, 0.2)
        score = quality - pacer.usd_weight * usd
        arm = int(score.argmax()) if usd[1] <= pacer.allowance_usd else 0
        total += usd[arm]
        latest = [*latest[-255:], (quality, usd)]
        if pacer.spent(float(usd[arm])):
            pacer.solve(np.array([q for q, _ in latest]), np.array([u for _, u in latest]))
    assert total <= n * budget + 2 * dear
    assert total >= 0.8 * n * budget, "a budget that nobody may spend is no budget"


def test_without_a_budget_a_dollar_costs_nothing() -> None:
    pacer = BudgetPacer()
    assert not pacer.spent(1e9)
    assert pacer.usd_weight == 0.0
    assert math.isinf(pacer.allowance_usd)


@pytest.mark.parametrize("budget", [0.0, -1.0, math.nan])
def test_impossible_budgets(budget: float) -> None:
    with pytest.raises(ConfigError):
        BudgetPacer(budget)


MIX = np.array([0.8, 0.1, 0.1])


def filled(guard: Guard, reward: float, n: int = 60, *, failed: bool = False) -> Verdict:
    for _ in range(n):
        guard.observe(reward, 0.8, failed=failed)
    return guard.judge(MIX)


def test_good_states_are_kept_and_bad_ones_left() -> None:
    guard = Guard()
    assert filled(guard, 0.85) is Verdict.HEALTHY
    assert filled(guard, 0.3, 250) is Verdict.ROLL_BACK
    assert guard.conservative
    assert filled(guard, 0.3, 100) is Verdict.WATCH, "not again while it cools down"
    assert guard.rollbacks == 1


def test_failures_alone_are_enough() -> None:
    guard = Guard()
    assert filled(guard, 0.85) is Verdict.HEALTHY
    assert filled(guard, 0.85, 250, failed=True) is Verdict.ROLL_BACK


def test_a_mix_that_turned_round_is_incoherent() -> None:
    guard = Guard()
    assert filled(guard, 0.85) is Verdict.HEALTHY
    assert guard.stability(np.array([0.0, 0.0, 1.0])).coherence < 0.7 < guard.stability(MIX).coherence


def test_nothing_to_go_back_to() -> None:
    assert filled(Guard(), 0.1, 250) is Verdict.WATCH


def test_says_nothing_before_it_has_seen_enough() -> None:
    assert filled(Guard(), 0.9, 10) is Verdict.WATCH


@pytest.mark.parametrize("wrong", [{"threshold": 0.0}, {"window": 0}, {"slack": 2.0}])
def test_impossible_guards(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        GuardSettings(**wrong)  # type: ignore[arg-type]


def test_who_only_decides_brings_no_compiler() -> None:
    """It would take 80 MB in every gateway."""
    looked = "import sys, actors.cluster, serve_apps.gateway.deployment; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", looked], timeout=60, check=False).returncode == 0
