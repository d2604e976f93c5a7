"""The Resonator behind the actor: follows a catalogue by name, learns from the journal, goes on from it."""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import orjson
import pytest

from zoran_ray.errors import ConfigError
from zoran_ray.models_file import ModelSpec
from zoran_ray.offers import ArmSpec
from zoran_ray.routing import Features, Prior, Prompt
from zoran_ray.routing.journal import LateScore, Logged, Mark
from zoran_ray.routing.live import LiveResonator, RolledBack, packed
from zoran_ray.routing.reports import Answered
from zoran_ray.settings import RoutingSettings

SETTINGS = RoutingSettings(size=24)
X = Features(24)(Prompt("Write a python function"))
NOW = 1_700_000_000.0
LOCAL = ModelSpec(name="small")
EMBEDDER = ModelSpec(name="embedder", capabilities=("embeddings",))


def remote(name: str = "openai/big", usd: float = 10.0) -> ArmSpec:
    return ArmSpec(
        name=name, provider="openai", upstream="big", context_tokens=1000, data_goes="us",
        usd_per_million_input=usd / 10, usd_per_million_output=usd,
    )  # fmt: skip


def logged(seq: int, arm: str, score: float | None, **fields: object) -> Logged:
    made = Answered(
        f"r{seq}", arm, arm, 1.0, 1, X, "code", 10, 100.0, 1.0, 1e-4, False, score, "", NOW + seq
    )
    return Logged(seq, replace(made, **fields))


def live(settings: RoutingSettings = SETTINGS, told: list[RolledBack] | None = None) -> LiveResonator:
    return LiveResonator(settings, "life", (told if told is not None else []).append)


def teach(router: LiveResonator, scores: dict[str, float], n: int = 60, after: int = 0) -> int:
    seq = after
    for _ in range(n):
        for arm, score in scores.items():
            seq += 1
            router.learn(logged(seq, arm, score))
    return seq


def quality(router: LiveResonator) -> dict[str, float]:
    return {name: view["quality"] for name, view in router.state()["arms"].items()}


def test_without_arms_there_is_nothing_to_publish() -> None:
    router = live()
    assert router.publication() is None
    assert not router.follow([EMBEDDER])
    assert not router.ready
    assert router.checkpoint() is None
    router.learn(logged(1, "local/small", 1.0))
    assert router.mark == Mark(1, 0)
    assert orjson.loads(orjson.dumps(router.state()))["arms"] == {}


def test_learns_by_name_and_publishes() -> None:
    router = live()
    assert router.follow([LOCAL, EMBEDDER, remote()])
    teach(router, {"local/small": 0.2, "openai/big": 0.9}, 20)
    snapshot = router.publication()
    assert snapshot is not None
    assert snapshot.arms == ("local/small", "openai/big")
    assert snapshot.epoch == "life"
    assert snapshot.prices.output_usd.tolist() == [0.0, 1e-5]
    assert snapshot.choose(X, 0.5).arm == 1
    assert quality(router)["openai/big"] > quality(router)["local/small"]
    state = orjson.loads(orjson.dumps(router.state()))
    assert state["counts"]["answered"] == 40
    assert state["arms"]["local/small"]["outcomes"] == 20
    assert 0 <= state["guard"]["stability"] <= 1
    assert state["budget"]["usd_per_request"] is None
    assert state["mixes"]["code"].keys() == {"local/small", "openai/big"}
    assert state["agents"]["code"].keys() == {"reasoner", "coder", "retriever", "vision"}


def test_a_late_score_counts_more_than_a_sign() -> None:
    moved = []
    for implicit in (True, False):
        router = live()
        router.follow([LOCAL, remote()])
        before = quality(router)["local/small"]
        router.learn(logged(1, "local/small", None))
        router.score(LateScore(1, logged(1, "local/small", None).answered, 0.0, NOW + 9, implicit))
        moved.append(before - quality(router)["local/small"])
        assert router.mark == Mark(1, 1)
        assert router.state()["counts"]["scored"] == 1
    assert 0 < moved[0] < 0.7 * moved[1]


def test_what_was_learned_stays_through_other_catalogues() -> None:
    router = live()
    router.follow([LOCAL, remote()])
    seq = teach(router, {"local/small": 0.2, "openai/big": 0.9})
    known = quality(router)
    router.follow([remote(usd=1.0), LOCAL, remote("openai/new", 2.0)])
    assert quality(router)["openai/big"] == known["openai/big"]
    assert 0.4 < quality(router)["openai/new"] < 0.7
    assert router.state()["arms"]["openai/new"]["outcomes"] == 0
    snapshot = router.publication()
    assert snapshot is not None
    assert snapshot.prices.output_usd.tolist() == pytest.approx([1e-6, 0.0, 2e-6])
    assert snapshot.usd(snapshot.estimates(X), 0.0)[0] > 0
    # One that is unloaded and loaded again knows what it knew.
    router.follow([remote(usd=1.0)])
    router.learn(logged(seq + 1, "local/small", 0.9))
    assert router.state()["counts"]["of_other_arms"] == 1
    router.follow([remote(usd=1.0), LOCAL])
    assert quality(router)["local/small"] == known["local/small"]
    assert not router.follow([])
    assert set(quality(router)) == {"openai/big", "local/small"}


def test_a_budget_survives_other_prices_and_arms() -> None:
    router = live(RoutingSettings(size=24, budget_usd_per_request=1e-4))
    router.follow([LOCAL, remote()])
    teach(router, {"local/small": 0.4, "openai/big": 0.9})
    before = router.state()["budget"]
    assert before["usd_weight"] > 0
    router.follow([LOCAL, remote(usd=0.001)])
    after = router.state()["budget"]
    assert after["bank_usd"] == before["bank_usd"]
    assert after["usd_weight"] == 0.0, "now even the dearest is within the budget"
    router.follow([LOCAL, remote("openai/new", 1000.0)])
    assert router.state()["budget"]["usd_weight"] > 0


def resumed(
    state: tuple[Mark, bytes], offers: Sequence[ModelSpec | ArmSpec], size: int = 24
) -> LiveResonator:
    again = live(RoutingSettings(size=size))
    again.resume(*state)
    again.follow(offers)
    return again


def test_goes_on_from_a_checkpoint() -> None:
    router = live()
    router.follow([LOCAL, remote()])
    teach(router, {"local/small": 0.2, "openai/big": 0.9})
    kept = router.checkpoint()
    assert kept is not None
    again = resumed(packed(kept), [LOCAL, remote()])
    assert quality(again) == quality(router)
    assert again.mark == router.mark
    mine, theirs = router.state(), again.state()
    assert mine["mixes"] == theirs["mixes"]
    assert mine["budget"] == theirs["budget"]


def test_a_checkpoint_of_other_arms_restores_what_fits(caplog: pytest.LogCaptureFixture) -> None:
    router = live()
    router.follow([LOCAL, remote()])
    teach(router, {"local/small": 0.2, "openai/big": 0.9})
    kept = packed(router.checkpoint())  # type: ignore[arg-type]
    # Local models come one after the other when a server starts.
    again = resumed(kept, [remote(), remote("openai/new")])
    assert quality(again)["openai/big"] == quality(router)["openai/big"]
    again.follow([remote(), LOCAL])
    assert quality(again) == quality(router)
    with caplog.at_level(logging.WARNING):
        other = resumed(kept, [LOCAL, remote()], size=32)
    assert "does not fit" in caplog.text
    assert quality(other)["openai/big"] == pytest.approx(Prior().first_quality, abs=0.01)


@pytest.mark.parametrize("damage", [b"", b"zrck", b"x" * 1000])
def test_a_damaged_checkpoint_is_refused_whole(damage: bytes) -> None:
    router = live()
    with pytest.raises(ConfigError):
        router.resume(Mark(5, 5), damage)
    assert router.mark == Mark()


def test_vectors_of_another_size_teach_nothing() -> None:
    router = live()
    router.follow([LOCAL])
    router.learn(logged(1, "local/small", 1.0, x=np.ones(25)))
    assert router.state()["counts"]["unfit"] == 1
    assert router.mark.answered == 1


def test_a_failed_answer_says_nothing_of_tokens_and_time() -> None:
    router = live()
    router.follow([LOCAL])
    before = router.state()["arms"]["local/small"]
    router.learn(logged(1, "local/small", 0.0, failed=True, output_tokens=1.0, latency_s=0.001))
    after = router.state()["arms"]["local/small"]
    assert after["quality"] < before["quality"]
    assert after["latency_ms"] == before["latency_ms"]


def test_a_rollback_is_announced_and_seen() -> None:
    told: list[RolledBack] = []
    router = live(RoutingSettings(size=24, scores_per_key=1e6, most_moved=1.0), told)
    router.follow([LOCAL, remote()])
    seq = teach(router, {"openai/big": 0.9}, 250)
    router.publication()
    assert not told
    while not told and seq < 2000:
        seq += 1
        router.learn(logged(seq, "openai/big", 0.0, failed=True))
    assert [event.rollbacks for event in told] == [1]
    assert told[0].at == NOW + seq
    assert math.isfinite(told[0].stability or 0.0)
    snapshot = router.publication()
    assert snapshot is not None
    assert (snapshot.guard, snapshot.rollbacks) == ("rolled back", 1)
    assert router.state()["guard"]["rolled_back"]


def test_what_is_skipped_is_counted() -> None:
    router = live()
    router.skip_to(Mark(10, 2))
    router.skip_to(Mark(5, 5))
    assert router.mark == Mark(10, 5)
    assert router.state()["counts"]["skipped"] == 10
