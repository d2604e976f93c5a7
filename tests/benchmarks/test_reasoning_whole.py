"""The whole reasoning benchmark without an engine: differences, parts, predictions, routing, the table."""

import asyncio
import json
import math
import random
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.reasoning import auto, gateway, overhead, predictions, quality, report, stream, wall, whole
from benchmarks.reasoning.__main__ import main
from benchmarks.reasoning.engine import engine_model
from benchmarks.reasoning.intervals import paired, ratio
from benchmarks.reasoning.parts import Parts
from benchmarks.reasoning.predictions import MISSED, NOT_CERTAIN, REACHED, judged, verdict
from benchmarks.reasoning.running import outcome_of
from benchmarks.reasoning.scale import FULL, QUICK
from benchmarks.reasoning.scripted import Scripted
from benchmarks.reasoning.tasks import TASKS
from zoran_ray.errors import ConfigError
from zoran_ray.reasoning.completion import Completion, Completions, Sampling, Used
from zoran_ray.reasoning.prompting import user
from zoran_ray.reasoning.trace import Call

SMALL = replace(
    QUICK, instances=6, puzzles=6, calls=4, tokens=400, wall=2, stream=40, latency=2, seeds=2, overhead=3,
    live=4,
)  # fmt: skip
SCRIPTED = {task: Scripted(task, quality.drawn(task, 6)) for task in TASKS}
"""Made here: a lesson runs a strategy in an event loop of its own."""


class Sometimes:
    """Right with a chance, on prompts of any task: what the scripted models say, or nothing of use."""

    def __init__(self, share: float, usage: int) -> None:
        self.rng, self.share, self.usage = random.Random(0), share, usage
        self.forgotten = 0

    async def __call__(self, messages: Any, sampling: Sampling, *, deadline: float) -> Completions:
        await asyncio.sleep(0)
        knowing = self.rng.random() < self.share
        asked = [await model(messages, sampling, deadline=deadline) for model in SCRIPTED.values()]
        said = next((a for a in asked if "Answer: " not in a.choices[0].text), asked[0])
        choices = said.choices if knowing else (Completion("Answer: none"),) * sampling.n
        return Completions(choices, Used(sampling.n, self.usage, self.usage // 2, 3 * sampling.n))

    def most(self, messages: Any, sampling: Sampling) -> Used:
        return Used(sampling.n, self.usage, 0, sampling.n * sampling.max_tokens)

    async def forget(self) -> None:
        self.forgotten += 1


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_a_paired_difference_lies_within_its_interval(pairs: list[tuple[bool, bool]]) -> None:
    ours, theirs = ([float(each) for each in side] for side in zip(*pairs, strict=True))
    middle, low, high = paired(ours, theirs)
    assert low <= middle + 1e-12
    assert middle <= high + 1e-12
    assert middle == pytest.approx((sum(ours) - sum(theirs)) / len(pairs))
    back = paired(theirs, ours)
    assert back[0] == pytest.approx(-middle)


def test_what_is_paired_is_surer_than_its_parts() -> None:
    theirs = [float(n % 2) for n in range(200)]
    assert paired([each + 0.1 for each in theirs], theirs) == pytest.approx((0.1, 0.1, 0.1))
    assert paired(theirs, theirs, 2.0)[0] == pytest.approx(-0.5)
    assert ratio([1.0, 2.0], [2.0, 4.0]) == pytest.approx((0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((0.2, 0.1, 0.3), REACHED),
        ((0.2, -0.1, 0.3), NOT_CERTAIN),
        ((0.0, -0.1, 0.1), MISSED),
        ((-0.2, -0.3, -0.1), MISSED),
    ],
)
def test_verdicts(interval: tuple[float, float, float], said: str) -> None:
    assert verdict(interval) == said


async def test_a_cut_run_goes_on_where_it_was(tmp_path: Path) -> None:
    made: Counter[str] = Counter()

    async def measure(name: str) -> list[int]:
        made[name] += 1
        return [made.total()]

    path = tmp_path / "folder" / "parts"
    parts = Parts(path, {"scale": 1})
    assert await parts.part("a", lambda: measure("a")) == [1]
    assert await parts.part("b", lambda: measure("b")) == [2]
    path.write_text(path.read_text() + '["c", [3')  # killed while it wrote
    again = Parts(path, {"scale": 1})
    assert await again.part("a", lambda: measure("a")) == [1]
    assert await again.part("c", lambda: measure("c")) == [3]
    assert await Parts(path, {"scale": 1}).part("c", lambda: measure("c")) == [3]
    assert made == {"a": 1, "b": 1, "c": 1}
    other = Parts(path, {"scale": 2})
    assert await other.part("a", lambda: measure("a")) == [4]
    other.end()
    assert not path.exists()


async def test_every_contender_answers_the_same_instances_within_its_budget(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts", {})
    model = Sometimes(0.5, usage=20)
    found = await quality.measured(model, "m", SMALL, parts)
    for task, of_task in found.items():
        for equal, of_budget in of_task.items():
            most = getattr(quality.budgets(task, SMALL)[equal], equal)
            assert {len(outcomes) for outcomes in of_budget.values()} == {SMALL.instances}
            for outcomes in of_budget.values():
                assert all(getattr(outcome.used, equal) <= most for outcome in outcomes)
    before = len(parts)
    again = await quality.measured(Sometimes(0.0, usage=1), "m", SMALL, Parts(tmp_path / "parts", {}))
    assert again == found
    assert before == sum(len(of) for of_task in found.values() for of in of_task.values())
    told = quality.told("countdown", found["countdown"], SMALL)
    assert told["calls"]["most"] == 2 * SMALL.calls
    assert len(told["calls"]["rights"]["tot"]) == SMALL.instances
    json.dumps(told)


def outcomes(rights: list[bool]) -> list[Any]:
    data = {
        "right": False, "ended": "done", "used": {"calls": 1}, "heard_tokens": 1, "wall_s": 0.1,
        "busy_s": 0.1, "calls_s": 0.1, "requests": 1,
    }  # fmt: skip
    return [outcome_of({**data, "right": each}) for each in rights]


def test_predictions_are_judged_on_paired_instances() -> None:
    none, half, most = [False] * 40, [True, False] * 20, [True] * 38 + [False] * 2
    countdown = {"single": outcomes(none), "tot": outcomes(most), "best-of-n": outcomes(half)}
    retries = {"single": outcomes(none), "best-of-n": outcomes(most), "reflexion": outcomes(half)}
    rows = judged({"countdown": {"calls": countdown}, "retries": {"calls": retries}})
    said = {(row["task"], row["prediction"]): row["verdict"] for row in rows}
    assert said == {
        (predictions.ALL, "best-of-n above single"): REACHED,
        ("countdown", "tot above 2 × single"): REACHED,
        ("countdown", "tot above best-of-n"): REACHED,
        ("retries", "reflexion above best-of-n"): MISSED,
    }
    assert {row["of"] for row in rows if row["task"] == predictions.ALL} == {80}


def test_of_several_tasks_as_many_instances_each_count() -> None:
    none, more = outcomes([False] * 40), outcomes([True] * 80)
    found = {
        "chain": {"calls": {"single": none, "best-of-n": none}},
        "countdown": {"calls": {"single": outcomes([False] * 80), "best-of-n": more}},
    }
    (row,) = [row for row in judged(found) if row["prediction"] == "best-of-n above single"]
    assert (row["of"], row["shares"]) == (80, [0.5, 0.0])


def test_twice_as_many_must_be_twice_as_many() -> None:
    half, more = [True, False] * 20, [True] * 30 + [False] * 10
    (row, *_) = judged({"countdown": {"calls": {"single": outcomes(half), "tot": outcomes(more)}}})
    assert row["prediction"] == "tot above 2 × single"
    assert row["difference"][0] == pytest.approx(-0.25)
    assert row["verdict"] == MISSED


def test_a_call_for_several_answers_as_calls_for_one() -> None:
    call = Call((user("q"),), Sampling(n=3, temperature=1.0, seed=5), Completions(()))
    assert [each.sampling.seed for each in wall.single(call)] == [5, 6, 7]
    assert {each.sampling.n for each in wall.single(call)} == {1}
    unseeded = replace(call, sampling=Sampling(n=2))
    assert [each.sampling.seed for each in wall.single(unseeded)] == [None, None]


async def test_a_tree_is_asked_again_in_turn() -> None:
    model = Sometimes(1.0, usage=64)
    trees = await wall.measured(model, SMALL)
    assert list(trees) == ["1 states a level", "5 states a level"]
    assert model.forgotten == 2 * 3 * SMALL.wall
    for found in trees.values():
        assert found["cached_share"] == pytest.approx(0.5)
        for row in found["instances"]:
            assert row["requests"]["completion_tokens"] == row["completion_tokens"]
            assert row["answers"]["completion_tokens"] == row["completion_tokens"]
        assert all(math.isfinite(each) for each in (*found["of_answers"], *found["of_requests"]))


def test_overhead_is_what_is_left_beside_the_model() -> None:
    (outcome,) = outcomes([True])
    slow = replace(outcome, wall_s=0.5, calls_s=0.4, requests=10)
    assert overhead.per_call_ms([slow, replace(slow, requests=0)]) == pytest.approx([10.0])
    found = overhead.measured(SMALL)
    assert set(found) == set(TASKS)
    assert all(
        row["calls"] >= 1 and row["ms"]["p50"] >= 0 for rows in found.values() for row in rows.values()
    )


def test_a_request_to_the_gateway_never_ends_early() -> None:
    endpoint = gateway.Endpoint("n", "http://127.0.0.1:1", "local/noop")
    assert gateway._thinking(endpoint, gateway.NO_STRATEGY, None, 3)["model"] == "local/noop"
    for name, parameters in gateway._ASKED.items():
        if parameters is None:
            continue
        body = gateway._thinking(endpoint, name, parameters, 3)
        assert body["model"] == f"zoran/{name}:local/noop"
        assert body["zoran"]["budget"] == {"calls": gateway.CALLS}


ROUTED = replace(SMALL, stream=150)


@cache
def routed() -> tuple[Any, list[dict[str, Any]]]:
    """The stream's record, and what the router makes of it."""
    record = stream.record(stream.stream(ROUTED), streamed(), [1.0, 5.0])
    return record, auto.measured(record, 2)


def streamed() -> list[dict[str, Any]]:
    """A small model that knows half of the tasks, and a large one that knows all, both not always."""
    instances, rng = stream.stream(ROUTED), random.Random(1)
    easy = {"chain", "calculator"}
    found = []
    for model in ("small", "large"):
        right = [
            int(rng.random() < (0.9 if model == "large" or i.task in easy else 0.1)) for i in instances
        ]
        tokens = [50 + rng.randrange(20) for _ in instances]
        alone = [0.01 if model == "small" else 0.03] * 5
        found.append(
            {"right": right, "prompt_tokens": tokens, "completion_tokens": tokens, "alone_s": alone}
        )
    return found


def test_the_stream_has_all_tasks_and_every_instance_once() -> None:
    instances = stream.stream(ROUTED)
    assert {each.task for each in instances} == set(TASKS)
    assert len({(each.task, each.question) for each in instances}) == len(instances) == ROUTED.stream
    assert instances == stream.stream(ROUTED)


def test_the_router_finds_out_who_knows_what() -> None:
    found, (record, rows) = streamed(), routed()
    assert record.usd[:, 1] / record.usd[:, 0] == pytest.approx(
        [
            5 * (dear / cheap)
            for cheap, dear in zip(found[0]["prompt_tokens"], found[1]["prompt_tokens"], strict=True)
        ]
    )
    low, high = record.usd.mean(axis=0)
    assert [low < row["budget_usd"] < high for row in rows] == [True] * 3
    middle = rows[1]["policies"]
    assert middle[auto.ZORAN]["spent"] <= 1.02
    assert middle["small alone"]["zoran_above"][1] > 0
    assert middle["mix at the same spend"]["zoran_above"][0] > 0
    assert middle["mix at the same spend"]["spent"] == pytest.approx(middle[auto.ZORAN]["spent"], abs=1e-3)
    assert rows[1]["oracle"] >= middle[auto.ZORAN]["reward"]


def test_a_mix_between_equal_prices_is_the_cheaper() -> None:
    record, _ = routed()
    low, high = record.usd.mean(axis=0)
    assert auto.mix(record, low)[0].mean() == pytest.approx(record.reward[:, 0].mean())
    assert auto.mix(record, high)[0].mean() == pytest.approx(record.reward[:, 1].mean())
    assert auto.mix(record, 10 * high)[1].mean() == pytest.approx(high)


def folder(path: Path, size: int) -> Path:
    path.mkdir()
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(bytes(size))
    return path


def test_prices_follow_the_weights(tmp_path: Path) -> None:
    assert stream.prices([folder(tmp_path / "s", 100), folder(tmp_path / "l", 490)]) == [1.0, 4.9]


async def test_the_table_says_what_was_missed(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts", {})
    found = await quality.measured(Sometimes(0.5, usage=20), "m", SMALL, parts)
    answered, (_, budgets) = streamed(), routed()
    said = {
        "started": "2026-01-02 03:04", "machine": "a machine",
        "models": [{"name": "s", "bytes": 10**6}, {"name": "l", "bytes": 5 * 10**6}],
        "predictions": judged(found),
        "tasks": {task: quality.told(task, each, SMALL) for task, each in found.items()},
        "wall": {
            "2 states a level": {
                "of_requests": (0.5, 0.4, 0.6), "of_answers": (0.2, 0.1, 0.3), "cached_share": 0.4,
                "instances": [{"tree_s": 1.0}],
            },
        },
        "overhead": {"chain": {"single": {"calls": 1.0, "ms": {"p50": 2.5, "p95": 3.0}}}},
        "gateway": {"cot": {"calls": 1.0, "ms": {"p50": 1.0, "p95": 3.0}}},
        "auto": {
            "usd_per_million": [1.0, 5.0], "usd": [1.0, 2.0],
            "latency_ms": [stream.latency_ms(each) for each in answered],
            "tasks": stream.compared(stream.stream(ROUTED), answered), "budgets": budgets,
        },
        "live": {
            "budget_usd": 1e-4,
            "answers": [{"arm": "large", "right": 1, "usd": 1e-4, "ms": 3.0}] * 10,
        },
    }  # fmt: skip
    text = report.markdown(said, "results/x.json")
    assert "[Every instance](results/x.json)" in text
    ends = text[text.index("### Missed in this run") :]
    assert "of several answers each, in turn; 0.50 [0.40, 0.60]" in ends
    assert "chain, single; 1; 2.50" in ends
    assert "cot" not in ends
    assert "through HAProxy and gateway" in text
    assert "its answers, in turn" not in ends
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)
    json.dumps(said)


async def test_folders_without_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "PROGRESS", tmp_path / "parts")
    with pytest.raises(ConfigError, match="make pocket"):
        await whole.measured([tmp_path, tmp_path], SMALL, whole.PARTS)
    with pytest.raises(ConfigError, match="make pocket"):
        async with engine_model(tmp_path):
            pass


def test_everything_says_what_is_wrong(
    capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "PROGRESS", tmp_path / "parts")
    assert main(["--models", str(tmp_path), str(tmp_path)]) == 2
    assert "no model" in capsys.readouterr().err
    assert main(["--quick", "--write-readme"]) == 2
    assert "--quick" in capsys.readouterr().err


def test_a_full_run_is_larger_than_a_quick_one() -> None:
    assert all(getattr(FULL, name) >= getattr(QUICK, name) for name in FULL.__dataclass_fields__)
