"""The routing benchmark on a small made-up record."""

import gzip
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks.routing.at_budget import gain, lines_at, measure
from benchmarks.routing.data import BadData, Record, load
from benchmarks.routing.plot import draw
from benchmarks.routing.policies import StaticMix, best_fixed, oracle, static_mix
from benchmarks.routing.report import markdown
from benchmarks.routing.scenarios import SCENARIOS, report
from benchmarks.routing.worlds import budgets_of, draw_world, make_record
from zoran_ray.routing import Prior


def rows(n: int = 120) -> list[dict[str, object]]:
    rng = np.random.default_rng(0)
    return [
        {
            "prompt": f"Question {k}: {'solve 1 + 1' if k % 2 else 'write a poem'}",
            "arms": {
                "dear": {"reward": 0.9, "cost": float(rng.uniform(0.8e-2, 1.2e-2))},
                "cheap": {"reward": 0.9 if k % 2 else 0.4, "cost": float(rng.uniform(0.8e-4, 1.2e-4))},
            },
        }
        for k in range(n)
    ]


def written(folder: Path, lines: list[object], name: str = "data.jsonl") -> Path:
    path = folder / name
    text = "\n".join(json.dumps(line) for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return load(written(tmp_path, [*rows()], "data.jsonl.gz"), 32)


def test_arms_are_ordered_by_cost(record: Record) -> None:
    assert record.arms == ("cheap", "dear")
    assert record.list_prices().tolist() == [1e-4, 1e-2]
    assert record.x.shape == (120, 32)


@pytest.mark.parametrize("budget", [1e-4, 1e-3, 5e-3, 1.0])
def test_the_oracle_is_above_what_knows_less(record: Record, budget: float) -> None:
    assert oracle(record, budget) >= static_mix(record, budget) - 1e-9
    assert static_mix(record, budget) >= best_fixed(record, budget)


@pytest.mark.parametrize(
    "line",
    [
        {"prompt": "x"},
        {"prompt": "x", "arms": {"a": {"reward": 2.0, "cost": 1.0}}},
        {"prompt": "x", "arms": {"a": {"reward": 0.5, "cost": 0.0}}},
        {"prompt": "x", "arms": {"a": {"reward": "good", "cost": 1.0}}},
        [],
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: object) -> None:
    with pytest.raises(BadData, match=r"data\.jsonl:1"):
        load(written(tmp_path, [line]), 32)


def test_other_arms_than_before(tmp_path: Path) -> None:
    other = {"prompt": "x", "arms": {"a": {"reward": 0.5, "cost": 1.0}}}
    with pytest.raises(BadData, match=":3"):
        load(written(tmp_path, [*rows(2), other]), 32)


def test_every_policy_is_measured_and_told(record: Record, tmp_path: Path) -> None:
    measured = {"name": "made up", **measure(record, (1e-3, 1e-2), range(2))}
    measured["scenarios"] = [asdict(told) for told in [report(record, "restart", 1e-3, range(1))] if told]
    results = {"started": "2026-01-01", "machine": "m", "prior": asdict(Prior()), "data": [measured]}
    text = markdown(results)
    for name in ("zoran", "static mix, UCB", "random", "oracle", "restart"):
        assert name in text
    draw(results, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    ours, *others = lines_at(record, 1e-3, range(2))
    mean, low, high = gain(ours, others[-1])
    assert low <= mean <= high


def test_the_static_mix_finds_the_better_arm_and_keeps_to_the_budget() -> None:
    policy, x = StaticMix(np.array([1e-4, 1e-2]), 1e-3, seed=0), np.ones(1)
    arms = []
    for _ in range(2000):
        arm = policy.choose(x)
        arms.append(arm)
        policy.learn(x, arm, (0.3, 0.9)[arm], (1e-4, 1e-2)[arm])
    assert np.mean(arms) == pytest.approx(0.09, abs=0.02)


def test_a_made_up_world_is_the_same_every_time() -> None:
    one, two = (make_record(draw_world(3), 50, 32, seed=3) for _ in range(2))
    assert (one.reward == two.reward).all()
    assert (one.usd == two.usd).all()
    assert list(budgets_of(one, 4)) == sorted(budgets_of(one, 4))


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_reports(record: Record, name: str) -> None:
    told = report(record, name, 1e-3, range(1))
    assert told is not None
    assert told.recovery > 0
    assert told.usd_ratio > 0
