"""How many replicas a model should have: one pure decision. Knows neither Ray nor a clock.

Up fast: as soon as the worst of KV-cache use, waiting requests and time to first token is over its
target for `upscale_delay_s`, by the ratio it is over. Down slowly: one replica every
`downscale_delay_s`, and only to a number that holds today's load with room to spare, so that no
constant load makes the number go up and down.
"""

import math
from dataclasses import dataclass

from zoran_ray.models_file import ScalingSettings

ROOM_TO_SPARE = 0.8
"""Share of a target that the smaller number of replicas may reach when one is taken away."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class ReplicaSignals:
    """What one replica reports; NaN or a negative number is as good as nothing.

    Attributes:
        running: Requests being decoded.
        waiting: Requests queued inside the engine.
        kv_usage: Share of the KV cache in use, 0..1.
        ttft_s: Mean time to first token over the last seconds, 0 if nothing ran.
    """

    running: float = math.nan
    waiting: float = math.nan
    kv_usage: float = math.nan
    ttft_s: float = math.nan


@dataclass(frozen=True, slots=True)
class Signals:
    """Everything a decision is made from.

    Attributes:
        current: Replicas that run.
        target: Replicas Serve is aiming at; the rest is starting or leaving.
        replicas: Reports of running replicas, at most `current`.
        queued_requests: Requests that wait for a replica at handles.
        ongoing_requests: Requests Serve itself sees, queued or running.
        capacity: Requests one replica runs at once, None if not known.
        gpus_per_replica: 0 for an engine without GPUs.
        alive_gpus: GPUs of the nodes that are alive.
        free_gpus: Those nobody has reserved. Counted now and then, so it may still hold the GPU of a
            replica that has begun to run since.
        bringable_gpus: GPUs of nodes that a cluster autoscaler could add.
    """

    current: int
    target: int
    replicas: tuple[ReplicaSignals, ...] = ()
    queued_requests: float = 0.0
    ongoing_requests: float = 0.0
    capacity: int | None = None
    gpus_per_replica: float = 0.0
    alive_gpus: float = 0.0
    free_gpus: float = 0.0
    bringable_gpus: float = 0.0


@dataclass(frozen=True, slots=True)
class ScalingState:
    """Since when, in seconds on the caller's clock; None where it is not so.

    Attributes:
        over_since: More replicas are wanted.
        under_since: One replica less would do.
        idle_since: Nothing runs and nobody waits.
    """

    over_since: float | None = None
    under_since: float | None = None
    idle_since: float | None = None


def desired_replicas(
    signals: Signals, spec: ScalingSettings, state: ScalingState, now_s: float
) -> tuple[int, ScalingState]:
    """Decide once. Deterministic: the same arguments give the same answer.

    Args:
        signals: What is known now.
        spec: Bounds, targets and delays.
        state: The state the previous decision returned.
        now_s: The time, in seconds, on any clock that goes on.

    Returns:
        The number of replicas, within `spec`'s bounds, and the state for the next decision.
    """
    target = min(max(signals.target, spec.min_replicas), spec.max_replicas)
    if target == 0:
        # One replica is asked for whatever GPUs there are: a cluster autoscaler brings a node only
        # for a replica that waits for one.
        wanted = _known(signals.queued_requests) + _known(signals.ongoing_requests) > 0
        return int(wanted), ScalingState()
    more = min(_needed(signals, spec), _affordable(signals, spec, target), spec.max_replicas)
    fewer = target > max(spec.min_replicas, 1) and _fit(signals, spec, target - 1)
    state = ScalingState(
        over_since=_since(state.over_since, more > target, now_s),
        under_since=_since(state.under_since, fewer, now_s),
        idle_since=_since(state.idle_since, _idle(signals), now_s),
    )
    if _for(state.over_since, spec.upscale_delay_s, now_s):
        return more, ScalingState(idle_since=state.idle_since)
    if _for(state.under_since, spec.downscale_delay_s, now_s):
        return target - 1, ScalingState(idle_since=state.idle_since)
    if target == 1 and spec.min_replicas == 0 and _for(state.idle_since, spec.zero_delay_s, now_s):
        return 0, ScalingState()
    return target, state


def _needed(signals: Signals, spec: ScalingSettings, share: float = 1.0) -> int:
    """Replicas that keep every signal at `share` of its target, if today's load spread evenly."""
    if signals.current == 0:
        return 0
    waiting = _mean(signals, "waiting") + _known(signals.queued_requests) / signals.current
    pressure = max(
        _mean(signals, "kv_usage") / spec.target_kv_usage,
        waiting / spec.target_waiting,
        _mean(signals, "ttft_s") / spec.target_ttft_s,
    )
    needed = math.ceil(signals.current * pressure / share - _ROUNDING)
    # A request runs on one replica: more replicas than requests help nobody.
    return min(needed, math.ceil(_requests(signals))) if _load_known(signals) else needed


def _fit(signals: Signals, spec: ScalingSettings, count: int) -> bool:
    """Whether `count` replicas hold what runs now, with room to spare. What is unknown does not fit."""
    if not _load_known(signals) or _needed(signals, spec, ROOM_TO_SPARE) > count:
        return False
    return signals.capacity is None or _requests(signals) <= ROOM_TO_SPARE * count * signals.capacity


def _affordable(signals: Signals, spec: ScalingSettings, target: int) -> int:
    """Replicas the GPUs allow. Those asked for already stay, whether they have theirs yet or not."""
    if signals.gpus_per_replica <= 0:
        return spec.max_replicas
    bringable, each = _known(signals.bringable_gpus), signals.gpus_per_replica
    unused = math.floor((_known(signals.free_gpus) + bringable) / each + _ROUNDING)
    whole = math.floor((_known(signals.alive_gpus) + bringable) / each + _ROUNDING)
    return max(target, min(signals.current + unused, whole))


def _idle(signals: Signals) -> bool:
    quiet = _known(signals.queued_requests) + _known(signals.ongoing_requests) == 0
    return quiet and _load_known(signals) and _requests(signals) == 0


def _load_known(signals: Signals) -> bool:
    """Whether every running replica, and there is one, has said what it carries."""
    return 0 < signals.current <= len(signals.replicas) and all(
        _is_known(value) for r in signals.replicas for value in (r.running, r.waiting, r.kv_usage)
    )


def _requests(signals: Signals) -> float:
    held = sum(_known(r.running) + _known(r.waiting) for r in signals.replicas)
    return held + _known(signals.queued_requests)


def _mean(signals: Signals, name: str) -> float:
    """Mean over the replicas that report it, 0 if none does."""
    values = [value for r in signals.replicas if _is_known(value := getattr(r, name))]
    return math.fsum(values) / len(values) if values else 0.0


def _is_known(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _known(value: float) -> float:
    return value if _is_known(value) else 0.0


def _since(since: float | None, holds: bool, now_s: float) -> float | None:
    """Since when it holds without a break. A clock that was set back starts anew."""
    if not holds:
        return None
    return now_s if since is None or since > now_s else since


def _for(since: float | None, delay_s: float, now_s: float) -> bool:
    return since is not None and now_s - since >= delay_s - _ROUNDING
