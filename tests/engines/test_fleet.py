"""Laws of the choice of a replica, and what a gateway keeps over snapshots."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoran_ray.engines.fleet import Fleet
from zoran_ray.errors import ModelNotFound
from zoran_ray.messages import FleetSnapshot, ModelInfo, ReplicaInfo, ReplicaLoad

MODEL = "local/m"


def replica(replica_id, running=0, *, model=MODEL, generation="new", state="ready"):
    return ReplicaInfo(
        replica_id, model, generation, "http://127.0.0.1:1", "secret", 8, 2048, ("generate",),
        state=state, load=ReplicaLoad(running=running),
    )  # fmt: skip


def model(name=MODEL, aliases=("m",)):
    return ModelInfo(name, aliases, "new", "app", "embedded")


ONE = (model(),)


def snapshot(*replicas, models=ONE):
    return FleetSnapshot("epoch", 1, models={m.name: m for m in models}, replicas=replicas)


def fleet_of(*replicas, seed=1, clock=lambda: 0.0):
    fleet = Fleet(clock=clock, rng=random.Random(seed))
    fleet.update(snapshot(*replicas))
    return fleet


fleets = st.lists(
    st.builds(
        lambda running, generation, state, name: (running, generation, state, name),
        st.integers(0, 50),
        st.sampled_from(["new", "old"]),
        st.sampled_from(["ready", "draining"]),
        st.sampled_from([MODEL, "local/other"]),
    ),
    max_size=8,
).map(
    lambda rows: [
        replica(f"r{i}", running, generation=generation, state=state, model=name)
        for i, (running, generation, state, name) in enumerate(rows)
    ]
)


@given(
    fleets, st.sets(st.integers(0, 7)), st.one_of(st.none(), st.integers(0, 2**64 - 1)), st.integers(0, 9)
)
def test_only_ready_untried_replicas_of_the_current_generation_are_chosen(replicas, tried, affinity, seed):
    fleet = fleet_of(*replicas, seed=seed)
    tried = {f"r{i}" for i in tried}
    for each in replicas[::2]:
        fleet.suspect(each.replica_id)
    takes = {r.replica_id for r in replicas if (r.model, r.generation, r.state) == (MODEL, "new", "ready")}
    suspects = {r.replica_id for r in replicas[::2]}
    # One that was tried gets another chance when no other is left and it is not suspect any more.
    takes = (takes - tried) or (takes - suspects)
    chosen = fleet.choose(MODEL, affinity, tried)
    assert (chosen.replica_id in takes) if chosen else not takes
    assert fleet.ready(MODEL) == sum(
        (r.model, r.generation, r.state) == (MODEL, "new", "ready") for r in replicas
    )


@given(st.integers(1, 8), st.integers(0, 2**64 - 1), st.integers(0, 99))
def test_one_conversation_never_melts_its_home(n, affinity, seed):
    fleet = fleet_of(*(replica(f"r{i}") for i in range(n)), seed=seed)
    home = fleet.choose(MODEL, affinity).replica_id
    counts = Counter()
    for _ in range(200):
        chosen = fleet.choose(MODEL, affinity).replica_id
        within = counts[home] <= 1.25 * counts.total() / n + 2
        assert chosen == home or not within
        counts[chosen] += 1
        fleet.begin(chosen)
    assert counts[home] <= 1.25 * counts.total() / n + 3


@given(st.integers(2, 8), st.integers(0, 2**64 - 1), st.integers(0, 7))
def test_a_home_stays_when_another_replica_goes(n, affinity, gone):
    replicas = [replica(f"r{i}") for i in range(n)]
    home = fleet_of(*replicas).choose(MODEL, affinity)
    left = [r for i, r in enumerate(replicas) if i != gone % n or r == home]
    assert fleet_of(*left, seed=5).choose(MODEL, affinity) == home


def test_conversations_spread_over_homes():
    fleet = fleet_of(*(replica(f"r{i}") for i in range(4)))
    homes = Counter(fleet.choose(MODEL, affinity).replica_id for affinity in range(1000))
    assert min(homes.values()) > 150


@settings(max_examples=20)
@given(st.integers(2, 8), st.integers(0, 999))
def test_two_choices_spread_close_to_even(n, seed):
    fleet, counts = fleet_of(*(replica(f"r{i}") for i in range(n)), seed=seed), Counter()
    for _ in range(100 * n):
        chosen = fleet.choose(MODEL).replica_id
        counts[chosen] += 1
        fleet.begin(chosen)
    assert max(counts.values()) <= 100 + 6
    assert len(counts) == n


@given(st.lists(st.sampled_from(["begin", "end"]), max_size=60), st.integers(0, 9))
def test_begin_and_end_balance(script, seed):
    """Seen from outside: the replica with less in flight is the one that is chosen."""
    fleet, running = fleet_of(replica("a"), replica("b"), seed=seed), 0
    for step in script:
        if step == "begin":
            fleet.begin("a")
            running += 1
        else:
            fleet.end("a")
            running = max(0, running - 1)
    fleet.begin("b")
    fleet.begin("unknown")
    fleet.end("unknown")
    if running != 1:
        assert fleet.choose(MODEL).replica_id == ("a" if running < 1 else "b")


def test_published_load_counts_from_the_first_snapshot():
    assert fleet_of(replica("a", running=9), replica("b", running=1)).choose(MODEL).replica_id == "b"


def test_what_was_sent_since_the_last_snapshot_counts_on_top():
    fleet = fleet_of(replica("a", running=2), replica("b", running=4))
    for _ in range(3):
        fleet.begin("a")
    assert fleet.choose(MODEL).replica_id == "b"
    # The next one says so itself: nothing is counted twice.
    fleet.update(snapshot(replica("a", running=5), replica("b", running=6)))
    assert fleet.choose(MODEL).replica_id == "a"


def test_own_requests_in_flight_survive_a_snapshot_that_does_not_know_them_yet():
    fleet = fleet_of(replica("a"), replica("b"))
    for _ in range(3):
        fleet.begin("a")
    fleet.update(snapshot(replica("a"), replica("b", running=2)))
    assert fleet.choose(MODEL).replica_id == "b"


def test_a_suspect_is_avoided_for_a_second_while_others_are_there():
    now = [0.0]
    fleet = fleet_of(replica("a"), replica("b", running=9), clock=lambda: now[0])
    fleet.suspect("a")
    assert fleet.choose(MODEL).replica_id == "b"
    assert fleet.choose(MODEL, tried={"b"}).replica_id == "a"
    now[0] = 1.0
    assert fleet.choose(MODEL).replica_id == "a"


def test_nobody_there():
    fleet = Fleet()
    assert fleet.choose(MODEL) is None
    assert fleet.ready(MODEL) == 0
    with pytest.raises(ModelNotFound, match="none yet"):
        fleet.model(MODEL)


def test_a_replica_that_has_gone_is_forgotten():
    fleet = fleet_of(replica("a"))
    fleet.begin("a")
    fleet.update(snapshot())
    fleet.end("a")
    assert fleet.choose(MODEL) is None


def test_models_are_found_by_name_and_alias():
    fleet = fleet_of()
    assert fleet.model("m") is fleet.model(MODEL)
    with pytest.raises(ModelNotFound, match="Models here: local/m") as unknown:
        fleet.model("x" * 9000)
    assert unknown.value.param == "model"
    assert len(unknown.value.message) < 300


def test_a_models_own_name_wins_over_anothers_alias():
    first, second = model("local/a", ()), model("local/b", ("local/a",))
    fleet = Fleet()
    fleet.update(snapshot(models=(first, second)))
    assert fleet.model("local/a") is first


@given(
    st.integers(2, 6),
    st.lists(
        st.tuples(st.sampled_from(["begin", "end", "publish", "suspect"]), st.integers(0, 6)), max_size=40
    ),
)
def test_the_load_that_is_kept_is_the_load_that_is_there(n, script):
    """What the bound of a home is taken from, after any history; with replicas that take no requests."""
    replicas = [replica(f"r{i}", i, state="draining" if i == 5 else "ready") for i in range(n)]
    fleet = fleet_of(*replicas)
    for step, i in script:
        if step == "publish":
            replicas[i % n] = replica(f"r{i % n}", i)
            fleet.update(snapshot(*replicas))
        else:
            getattr(fleet, step)(f"r{i}")
    ready = fleet._by_model[MODEL]
    assert ready.held == sum(seat.load for seat in ready.seats)
