"""Ray Serve asks, `scaling` decides, in between stands this policy. Ray is imported by one function alone.

Contract with Serve 2.60 (`ray/serve/autoscaling_policy.py`, `_private/autoscaling_state.py`): the class
is instantiated in the controller with `policy_kwargs`, once for each deployment, and called every 0.1 s;
it gets back the state it returned, until the deployment changes or the controller restarts. Serve adds
delays and factors of its own to any policy, so `autoscaling_config` sets those to nothing. With no
replica and a request at a handle Serve starts one without asking the policy.
"""

import dataclasses
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from serve_apps.cluster_gpus import ClusterGpus, GpuCount
from serve_apps.scaling import ReplicaSignals, ScalingState, Signals, desired_replicas
from zoran_ray.models_file import ScalingSettings

if TYPE_CHECKING:
    from ray.serve.config import AutoscalingConfig

METRICS_INTERVAL_S = 1.0
"""Replicas and handles report this often."""
LOOK_BACK_S = 5.0
"""Requests at handles are averaged over this; what replicas report is read as it comes."""
_STATE = "scaling"
_METRICS = tuple(field.name for field in dataclasses.fields(ReplicaSignals))


class Context(Protocol):
    """What we read of Serve's `AutoscalingContext`."""

    current_num_replicas: int
    target_num_replicas: int
    running_replicas: Sequence[Any]
    policy_state: Mapping[str, Any]
    current_time: float

    @property
    def total_queued_requests(self) -> float: ...
    @property
    def total_num_requests(self) -> float: ...
    @property
    def raw_metrics(self) -> Mapping[str, Mapping[Any, Sequence[Any]]] | None: ...


class GpuAwarePolicy:
    """Autoscaling policy of one model's replicas.

    Args:
        scaling: Fields of `ScalingSettings`; a mapping because Serve carries it as JSON.
        gpus_per_replica: 0 for an engine without GPUs.
        capacity: Requests one replica runs at once (vLLM's `max_num_seqs`), None if not known.
        max_cluster_gpus: GPUs the cluster can grow to; None if it does not grow by itself.
        gpus: Counts the GPUs of the cluster.
    """

    def __init__(
        self,
        *,
        scaling: Mapping[str, Any],
        gpus_per_replica: float = 0.0,
        capacity: int | None = None,
        max_cluster_gpus: float | None = None,
        gpus: ClusterGpus | None = None,
    ) -> None:
        self._spec = ScalingSettings.model_validate(scaling)
        self._gpus_per_replica = gpus_per_replica
        self._capacity = capacity
        self._max_cluster_gpus = max_cluster_gpus
        self._gpus = gpus or ClusterGpus()

    def __call__(self, context: Context) -> tuple[int, dict[str, Any]]:
        """The number of replicas to aim at, and the state to be given back next time."""
        state = context.policy_state.get(_STATE, ScalingState())
        count, state = desired_replicas(self._signals(context), self._spec, state, context.current_time)
        return count, {_STATE: state}

    def _signals(self, context: Context) -> Signals:
        gpus = self._gpus.count() if self._gpus_per_replica > 0 else GpuCount()
        grows_to = gpus.alive if self._max_cluster_gpus is None else self._max_cluster_gpus
        reported = context.raw_metrics or {}
        return Signals(
            current=context.current_num_replicas,
            target=context.target_num_replicas,
            replicas=tuple(
                ReplicaSignals(**{name: _latest(reported.get(name, {}).get(replica)) for name in _METRICS})
                for replica in context.running_replicas
            ),
            queued_requests=context.total_queued_requests,
            ongoing_requests=context.total_num_requests,
            capacity=self._capacity,
            gpus_per_replica=self._gpus_per_replica,
            # A node that is being replaced can be counted beside the one that replaces it.
            alive_gpus=min(gpus.alive, grows_to),
            free_gpus=gpus.free,
            bringable_gpus=max(0.0, grows_to - gpus.alive),
        )


def _latest(series: Sequence[Any] | None) -> float:
    """The last point: an average over the look-back period would be seconds behind a burst."""
    return float(series[-1].value) if series else math.nan


def autoscaling_config(
    scaling: ScalingSettings,
    gpus_per_replica: float,
    *,
    capacity: int | None = None,
    max_cluster_gpus: float | None = None,
) -> "AutoscalingConfig":
    """Serve's configuration of a deployment that `GpuAwarePolicy` scales; arguments as there."""
    from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

    policy = AutoscalingPolicy(
        policy_function="serve_apps.autoscaling:GpuAwarePolicy",
        policy_kwargs={
            "scaling": scaling.model_dump(mode="json"),
            "gpus_per_replica": gpus_per_replica,
            "capacity": capacity,
            "max_cluster_gpus": max_cluster_gpus,
        },
    )
    with warnings.catch_warnings():
        # Marked deprecated in favour of environment variables that 2.60 defines and does not read.
        warnings.simplefilter("ignore", DeprecationWarning)
        return AutoscalingConfig(
            min_replicas=scaling.min_replicas,
            initial_replicas=scaling.initial_replicas,
            max_replicas=scaling.max_replicas,
            metrics_interval_s=METRICS_INTERVAL_S,
            look_back_period_s=LOOK_BACK_S,
            upscale_delay_s=0.0,
            downscale_delay_s=0.0,
            downscale_to_zero_delay_s=0.0,
            policy=policy,
        )
