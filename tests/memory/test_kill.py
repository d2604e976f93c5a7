"""A shard that is killed in the middle of its work keeps what it promised; and who checks that can tell."""

import random

import pytest

from benchmarks.memory import kills
from benchmarks.memory.kills import Act, History
from zoran_ray.memory.shard import MemoryShard

IDS = tuple(f"r{n}" for n in range(12))


def test_nothing_acknowledged_is_lost_and_nothing_forgotten_comes_back() -> None:
    found = kills.measure(8, seed=3)
    assert (found["kills"], found["lost"], found["half"], found["resurrected"]) == (8, 0, 0, 0)
    assert found["acknowledged"]["all"] > 0


@pytest.fixture
def shard(lab):
    """A shard with twelve records."""
    made = lab.open(embedder=kills._EMBEDDER)
    made.put([kills._record(record_id) for record_id in IDS])
    return made


def judged(shard: MemoryShard, **history):
    return +kills._judged(shard, History(**history), random.Random(0))


def test_the_judge_sees_what_is_there(shard):
    assert judged(shard, alive=set(IDS)) == {}
    shard.forget("t", IDS[:3])
    assert judged(shard, alive=set(IDS[3:]), gone=dict.fromkeys(IDS[:3])) == {}


def test_the_judge_sees_what_is_lost_or_changed_or_came_out_of_nothing(shard):
    assert judged(shard, alive={*IDS, "r99"}) == {"lost": 1}
    assert judged(shard, alive=set(IDS[1:])) == {"half": 1}
    latent = next(i for i in IDS if kills._begins(i) is kills.Layer.LATENT)
    assert judged(shard, alive=set(IDS), confirmed={latent}) == {"half": 1}
    shard.confirm("t", latent)
    assert judged(shard, alive=set(IDS), confirmed={latent}) == {}
    assert judged(shard, alive=set(IDS)) == {"half": 1}


@pytest.mark.parametrize("field", ["_text", "_vector"])
def test_the_judge_sees_another_text_or_vector(shard, monkeypatch, field):
    right = getattr(kills, field)
    monkeypatch.setattr(kills, field, lambda record_id: right("r0" if record_id == "r1" else record_id))
    assert judged(shard, alive=set(IDS)) == {"half": 1}


def test_the_judge_sees_what_is_back(shard):
    # Once in the list of all, and once more because it answers.
    assert judged(shard, alive=set(IDS[1:]), gone={IDS[0]: None}) == {"resurrected": 2}


@pytest.mark.parametrize("kind", ["put", "forget", "confirm"])
def test_the_judge_sees_half_of_an_act(shard, kind):
    latent = [i for i in IDS if kills._begins(i) is kills.Layer.LATENT]
    if kind == "put":
        act, before = Act("put", (*IDS[:2], "r99")), History(alive=set(IDS[2:]))
    elif kind == "forget":
        act, before = Act("forget", IDS[:2]), History(alive=set(IDS))
        shard.forget("t", IDS[:1])
    else:
        act, before = Act("confirm", tuple(latent[:2])), History(alive=set(IDS))
        shard.confirm("t", latent[0])
    assert +kills._settled(shard, before, act) == {"half": 1}


def test_the_judge_takes_over_what_has_happened_unheard(shard):
    history = History(alive=set(IDS[2:]))
    assert +kills._settled(shard, history, Act("put", IDS[:2])) == {}
    assert history.alive == set(IDS)
    assert +kills._settled(shard, history, Act("put", ("r98", "r99"))) == {}
    assert +kills._settled(shard, history, Act("forget", IDS[:2])) == {}
    assert history == History(alive=set(IDS))


def test_the_judge_sees_what_files_still_hold(shard, lab):
    shard.forget("t", IDS[:1])
    history = History(alive=set(IDS[1:]), gone={IDS[0]: None})
    assert kills._on_disk(lab.folder, history) == {"resurrected": 1}
    shard.compact()
    assert +kills._on_disk(lab.folder, history) == {}
    with pytest.raises(RuntimeError, match="not seen"):
        kills._on_disk(lab.folder, History(alive={"r99"}))
