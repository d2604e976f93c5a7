"""The policy inside Serve's own decision code; no Ray is started."""

import json
import math
import warnings
from typing import Any

import pytest

from serve_apps.autoscaling import GpuAwarePolicy, autoscaling_config
from serve_apps.cluster_gpus import ClusterGpus, GpuCount
from zoran_ray.models_file import ScalingSettings

with warnings.catch_warnings():
    # Ray's own use of pydantic, at import.
    warnings.simplefilter("ignore", DeprecationWarning)
    from ray.serve._private.autoscaling_state import _resolve_policy_callable
    from ray.serve._private.common import DeploymentID, ReplicaID, TimeStampedValue
    from ray.serve.autoscaling_policy import _apply_autoscaling_config
    from ray.serve.config import AutoscalingConfig, AutoscalingContext

SPEC = ScalingSettings(max_replicas=6, upscale_delay_s=2, downscale_delay_s=10)
BUSY = {"running": 32.0, "waiting": 8.0, "kv_usage": 0.5, "ttft_s": 0.5}
QUIET = {"running": 0.0, "waiting": 0.0, "kv_usage": 0.0, "ttft_s": 0.0}
DEPLOYMENT = DeploymentID("replica", "app")


def context(
    config: AutoscalingConfig,
    loads: list[dict[str, float]],
    now_s: float,
    state: dict[str, Any] | None = None,
    target: int | None = None,
    queued: float = 0.0,
) -> AutoscalingContext:
    ids = [ReplicaID(f"r{i}", DEPLOYMENT) for i in range(len(loads))]
    names = {name for load in loads for name in load}
    return AutoscalingContext(
        deployment_id=DEPLOYMENT,
        deployment_name="replica",
        app_name="app",
        current_num_replicas=len(loads),
        target_num_replicas=len(loads) if target is None else target,
        running_replicas=ids,
        total_num_requests=queued,
        total_queued_requests=queued,
        aggregated_metrics=None,
        raw_metrics={
            name: {
                replica: [TimeStampedValue(now_s - 1, 0.0), TimeStampedValue(now_s, load[name])]
                for replica, load in zip(ids, loads, strict=True)
                if name in load
            }
            for name in names
        },
        capacity_adjusted_min_replicas=config.min_replicas,
        capacity_adjusted_max_replicas=config.max_replicas,
        policy_state=state or {},
        last_scale_up_time=None,
        last_scale_down_time=None,
        current_time=now_s,
        config=config,
    )


def test_serve_finds_the_policy_and_calls_it_with_its_state() -> None:
    config = autoscaling_config(SPEC, gpus_per_replica=0)
    json.dumps(config.policy.policy_kwargs)
    policy = _apply_autoscaling_config(_resolve_policy_callable(config.policy))
    state: dict[str, Any] = {}
    seen = []
    for now_s in (100.0, 101.0, 102.0):
        count, state = policy(context(config, [BUSY], now_s, state))
        seen.append(count)
    assert seen == [1, 1, 2], "after our own delay, with none of Serve's on top"


def test_serve_adds_nothing_on_the_way_down() -> None:
    spec = SPEC.model_copy(update={"min_replicas": 0, "zero_delay_s": 30.0})
    config = autoscaling_config(spec, gpus_per_replica=0)
    policy = _apply_autoscaling_config(_resolve_policy_callable(config.policy))
    target, state = 3, {}
    seen = []
    for now_s in range(45):
        target, state = policy(context(config, [QUIET] * target, float(now_s), state))
        seen.append(target)
    assert [seen.index(n) for n in (2, 1, 0)] == [10, 21, 30]
    assert policy(context(config, [], 50.0, state, queued=0.2))[0] == 1


def test_bounds_are_serves_bounds_too() -> None:
    spec = ScalingSettings(min_replicas=2, max_replicas=6, initial_replicas=3)
    config = autoscaling_config(spec, gpus_per_replica=1, capacity=8, max_cluster_gpus=16)
    assert (config.min_replicas, config.initial_replicas, config.max_replicas) == (2, 3, 6)
    assert config.look_back_period_s > config.metrics_interval_s


@pytest.mark.parametrize(
    ("counted", "most", "expected"),
    [
        (GpuCount(free=0, alive=1), None, 1),
        (GpuCount(free=1, alive=2), None, 2),
        (GpuCount(free=0, alive=1), 3, 3),
        (GpuCount(free=0, alive=4), 3, 1),
        (GpuCount(free=3, alive=4), 3, 3),
    ],
)
def test_gpus_that_are_free_or_can_be_brought(counted: GpuCount, most: float | None, expected: int) -> None:
    policy = GpuAwarePolicy(
        scaling={**SPEC.model_dump(), "upscale_delay_s": 0},
        gpus_per_replica=1,
        max_cluster_gpus=most,
        gpus=ClusterGpus(lambda: counted, deadline_s=10),
    )
    config = autoscaling_config(SPEC, gpus_per_replica=1)
    assert policy(context(config, [{**BUSY, "waiting": 400.0}], 1.0))[0] == expected


def test_metrics_that_are_missing_or_nonsense_change_nothing() -> None:
    policy = GpuAwarePolicy(scaling={**SPEC.model_dump(), "upscale_delay_s": 0, "downscale_delay_s": 0})
    config = autoscaling_config(SPEC, gpus_per_replica=0)
    for loads in ([{}, {}], [{"waiting": math.nan}, {"kv_usage": -1.0}], [QUIET, {}]):
        assert policy(context(config, loads, 1.0))[0] == 2
    assert policy(context(config, [], 1.0, target=3))[0] == 3
