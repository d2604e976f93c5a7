import dataclasses
import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from serve_apps.scaling import ReplicaSignals, ScalingState, Signals, desired_replicas
from zoran_ray.models_file import ScalingSettings

SPEC = ScalingSettings(
    min_replicas=1,
    max_replicas=8,
    target_kv_usage=0.8,
    target_waiting=4,
    target_ttft_s=2,
    upscale_delay_s=2,
    downscale_delay_s=60,
    zero_delay_s=300,
)
ZERO = SPEC.model_copy(update={"min_replicas": 0})
QUIET = ReplicaSignals(running=0, waiting=0, kv_usage=0, ttft_s=0)
BUSY = ReplicaSignals(running=64, waiting=8, kv_usage=0.5, ttft_s=1)
LONG_AGO = ScalingState(over_since=0, under_since=0, idle_since=0)
NOW = 1e6


def signals(current: int, replica: ReplicaSignals = QUIET, **changes: object) -> Signals:
    fields = {"current": current, "target": current, "replicas": (replica,) * current, **changes}
    return Signals(**fields)  # type: ignore[arg-type]


def decide(signals: Signals, spec: ScalingSettings = SPEC, state: ScalingState = LONG_AGO) -> int:
    return desired_replicas(signals, spec, state, NOW)[0]


def decisions(
    signals_at: Callable[[int], Signals], spec: ScalingSettings, start: int, seconds: int
) -> Iterator[int]:
    """Targets second by second, where replicas come and go at once."""
    target, state = start, ScalingState()
    for now_s in range(seconds):
        target, state = desired_replicas(signals_at(target), spec, state, float(now_s))
        yield target


# Up.


@pytest.mark.parametrize(
    ("replica", "expected"),
    [
        (dataclasses.replace(BUSY, waiting=8), 4),
        (dataclasses.replace(BUSY, waiting=4), 2),
        (dataclasses.replace(BUSY, waiting=4.1), 3),
        (dataclasses.replace(BUSY, waiting=0, kv_usage=1.0), 3),
        (dataclasses.replace(BUSY, waiting=0, ttft_s=7), 7),
        (dataclasses.replace(BUSY, waiting=400), 8),
    ],
)
def test_up_by_the_ratio_of_the_worst_signal(replica: ReplicaSignals, expected: int) -> None:
    assert decide(signals(2, replica)) == expected


def test_up_only_after_the_delay_without_a_break() -> None:
    load = {0: BUSY, 1: BUSY, 2: QUIET, 3: BUSY, 4: BUSY, 5: BUSY}
    state, seen = ScalingState(), []
    for now_s, replica in load.items():
        count, state = desired_replicas(signals(2, replica), SPEC, state, now_s)
        seen.append(count)
    assert seen == [2, 2, 2, 2, 2, 4]


def test_requests_waiting_at_handles_count_as_waiting() -> None:
    assert decide(signals(1, dataclasses.replace(BUSY, waiting=0), queued_requests=12)) == 3


def test_no_more_replicas_than_requests() -> None:
    assert decide(signals(1, ReplicaSignals(running=1, waiting=0, kv_usage=0.9, ttft_s=60))) == 1
    assert decide(signals(1, ReplicaSignals(running=2, waiting=1, kv_usage=0.9, ttft_s=60))) == 3


def test_replicas_that_are_starting_are_not_asked_for_twice() -> None:
    assert decide(signals(1, dataclasses.replace(BUSY, waiting=16), target=4)) == 4


# GPUs.


@pytest.mark.parametrize(
    ("free", "bringable", "each", "expected"),
    [
        (0, 0, 1, 2),
        (1, 0, 1, 3),
        (1, 1, 1, 4),
        (3, 0, 2, 3),
        (0.5, 0, 0.5, 3),
        (9, 9, 1, 4),
        (math.nan, -3, 1, 2),
    ],
)
def test_up_to_what_gpus_allow(free: float, bringable: float, each: float, expected: int) -> None:
    gpus = {"free_gpus": free, "bringable_gpus": bringable, "gpus_per_replica": each}
    assert decide(signals(2, BUSY, alive_gpus=99, **gpus)) == expected


@pytest.mark.parametrize(("bringable", "expected"), [(0, 2), (1, 3)])
def test_a_gpu_counted_as_free_before_its_replica_ran_is_not_given_twice(
    bringable: float, expected: int
) -> None:
    gpus = {"alive_gpus": 2, "free_gpus": 1, "bringable_gpus": bringable}
    assert decide(signals(2, BUSY, gpus_per_replica=1, **gpus)) == expected


def test_a_lack_of_gpus_takes_no_replica_away() -> None:
    assert decide(signals(3, BUSY, gpus_per_replica=1)) == 3
    assert decide(signals(2, BUSY, target=5, gpus_per_replica=1)) == 5, "the others may hold theirs already"


# Down.


def test_down_one_at_a_time_each_after_its_delay() -> None:
    seen = list(decisions(lambda n: signals(n), SPEC, start=4, seconds=240))
    assert [seen.index(n) for n in (3, 2, 1)] == [60, 121, 182]
    assert seen[-1] == 1


@pytest.mark.parametrize(
    "replica",
    [
        ReplicaSignals(running=10, waiting=0, kv_usage=0.45, ttft_s=0),
        ReplicaSignals(running=10, waiting=2.5, kv_usage=0, ttft_s=0),
        ReplicaSignals(running=10, waiting=0, kv_usage=0, ttft_s=1.2),
        ReplicaSignals(running=10, waiting=0, kv_usage=math.nan),
        ReplicaSignals(running=math.nan, waiting=0, kv_usage=0),
    ],
)
def test_not_down_where_the_rest_could_not_hold_it_or_nobody_knows(replica: ReplicaSignals) -> None:
    assert decide(signals(3, replica)) == 3


def test_not_down_before_every_replica_has_reported() -> None:
    assert decide(Signals(current=3, target=3, replicas=(QUIET, QUIET))) == 3


def test_not_down_below_what_runs_at_once() -> None:
    replica = ReplicaSignals(running=9, waiting=0, kv_usage=0.01, ttft_s=0)
    assert decide(signals(2, replica, capacity=16)) == 2
    assert decide(signals(2, replica, capacity=32)) == 1


# Zero.


def test_to_zero_only_when_idle_for_long_and_allowed() -> None:
    seen = list(decisions(lambda n: signals(n), ZERO, start=2, seconds=400))
    assert (seen.index(1), seen.index(0)) == (60, 300)
    assert decide(signals(1)) == 1


@pytest.mark.parametrize(
    "at",
    [
        signals(1, dataclasses.replace(QUIET, running=1)),
        signals(1, queued_requests=0.1),
        signals(1, ongoing_requests=0.1),
        signals(1, ReplicaSignals()),
        signals(0, target=1),
    ],
)
def test_not_to_zero_while_anything_runs_waits_starts_or_is_unknown(at: Signals) -> None:
    assert decide(at, ZERO) == 1


def test_from_zero_at_once_and_whatever_gpus_there_are() -> None:
    assert decide(signals(0), ZERO, ScalingState()) == 0
    assert decide(signals(0, queued_requests=0.1, gpus_per_replica=1), ZERO, ScalingState()) == 1
    assert decide(signals(0, ongoing_requests=3), ZERO, ScalingState()) == 1
    assert decide(signals(0), SPEC, ScalingState()) == 1


def test_waking_up_starts_the_idle_time_anew() -> None:
    _, state = desired_replicas(signals(0, queued_requests=1), ZERO, LONG_AGO, NOW)
    assert desired_replicas(signals(1), ZERO, state, NOW + 299)[0] == 1


# Laws.

anything = st.floats(width=32) | st.sampled_from([math.nan, math.inf, -1.0, 0.0])
level = st.floats(0, 100)
specs = st.builds(
    lambda low, extra, **rest: ScalingSettings(min_replicas=low, max_replicas=max(1, low + extra), **rest),
    low=st.integers(0, 4),
    extra=st.integers(0, 12),
    target_kv_usage=st.floats(0.1, 1),
    target_waiting=st.floats(0.5, 50),
    target_ttft_s=st.floats(0.05, 20),
    upscale_delay_s=st.floats(0, 5),
    downscale_delay_s=st.floats(0, 5),
    zero_delay_s=st.floats(0, 10),
)
states = st.builds(ScalingState, *[st.none() | st.floats(0, 2e6)] * 3)


@st.composite
def any_signals(draw: st.DrawFn, value: st.SearchStrategy[float] = anything) -> Signals:
    current = draw(st.integers(0, 10))
    return Signals(
        current=current,
        target=draw(st.integers(0, 20)),
        replicas=tuple(draw(st.lists(st.builds(ReplicaSignals, *[value] * 4), max_size=current))),
        queued_requests=draw(value),
        ongoing_requests=draw(value),
        capacity=draw(st.none() | st.integers(1, 300)),
        gpus_per_replica=draw(st.sampled_from([0.0, 0.25, 1.0, 8.0])),
        alive_gpus=draw(anything),
        free_gpus=draw(anything),
        bringable_gpus=draw(anything),
    )


@settings(deadline=None)
@given(any_signals(), specs, states, st.floats(0, 2e6))
def test_within_bounds_deterministic_and_one_step_down(
    signals: Signals, spec: ScalingSettings, state: ScalingState, now_s: float
) -> None:
    count, after = desired_replicas(signals, spec, state, now_s)
    assert (count, after) == desired_replicas(signals, spec, state, now_s)
    assert spec.min_replicas <= count <= spec.max_replicas
    assert count >= min(signals.target, spec.max_replicas) - 1


@settings(deadline=None)
@given(any_signals(), specs, states)
def test_never_above_what_gpus_allow(signals: Signals, spec: ScalingSettings, state: ScalingState) -> None:
    assume(signals.gpus_per_replica > 0)
    alive, free, bringable = (
        gpus if 0 <= gpus < math.inf else 0.0
        for gpus in (signals.alive_gpus, signals.free_gpus, signals.bringable_gpus)
    )
    each = signals.gpus_per_replica
    allowed = min(signals.current + (free + bringable) / each, (alive + bringable) / each) + 1e-6
    asked_before = max(signals.target, spec.min_replicas, 1)
    assert decide(signals, spec, state) <= max(asked_before, allowed)


@settings(deadline=None)
@given(any_signals(level), specs, st.data())
def test_more_load_never_means_fewer_replicas(
    signals: Signals, spec: ScalingSettings, data: st.DataObject
) -> None:
    more = st.floats(0, 50)
    heavier = dataclasses.replace(
        signals,
        queued_requests=signals.queued_requests + data.draw(more),
        ongoing_requests=signals.ongoing_requests + data.draw(more),
        replicas=tuple(
            ReplicaSignals(*(value + data.draw(more) for value in dataclasses.astuple(replica)))
            for replica in signals.replicas
        ),
    )
    assert decide(heavier, spec) >= decide(signals, spec)


@settings(deadline=None)
@given(
    specs,
    st.integers(1, 16),
    st.integers(0, 200),
    *[st.floats(0, limit) for limit in (12, 200, 60)],
    st.none() | st.integers(1, 64),
)
def test_load_that_spreads_settles_in_one_direction(
    spec: ScalingSettings,
    start: int,
    running: int,
    kv: float,
    waiting: float,
    ttft_s: float,
    capacity: int | None,
) -> None:
    def at(n: int) -> Signals:
        share = max(n, 1)
        replica = ReplicaSignals(running / share, waiting / share, kv / share, ttft_s / share)
        return signals(n, replica, capacity=capacity)

    seen = [start, *decisions(at, spec, start, seconds=150)]
    steps = {(b > a) - (b < a) for a, b in pairwise(seen[1:])} - {0}
    assert len(steps) <= 1, f"went up and down: {seen}"
    assert len(set(seen[-20:])) == 1


@settings(deadline=None)
@given(specs, st.integers(1, 16), st.integers(0, 400), st.integers(1, 64), st.floats(0, 1.0))
def test_a_constant_number_of_clients_finds_a_fixed_point(
    spec: ScalingSettings, start: int, clients: int, capacity: int, kv_when_full: float
) -> None:
    """Engines run up to their capacity and queue the rest; the queue vanishes when there is room."""

    def at(n: int) -> Signals:
        running = min(clients / max(n, 1), capacity)
        waiting = max(0.0, clients / max(n, 1) - capacity)
        kv = kv_when_full * running / capacity
        return signals(n, ReplicaSignals(running, waiting, kv, 0.1 + waiting), capacity=capacity)

    assert len(set(list(decisions(at, spec, start, seconds=200))[-40:])) == 1
