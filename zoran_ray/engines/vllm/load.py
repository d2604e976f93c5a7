"""An engine's load, read from vLLM's own statistics."""

import time
from collections import deque
from typing import Any

from vllm.v1.metrics.loggers import StatLoggerBase

from zoran_ray.messages import ReplicaLoad

_TTFT_MEMORY_S = 15.0
_TTFT_SAMPLES = 256


class LoadMeter(StatLoggerBase):  # type: ignore[misc]
    """Keeps the latest scheduler state and the times to first token of the last seconds.

    vLLM builds one per engine and calls `record` after every step, in the process of the replica.
    """

    def __init__(self, vllm_config: Any, engine_index: int = 0) -> None:
        self._running = 0
        self._waiting = 0
        self._kv_usage = 0.0
        self._ttft: deque[tuple[float, float]] = deque(maxlen=_TTFT_SAMPLES)

    def record(
        self,
        scheduler_stats: Any = None,
        iteration_stats: Any = None,
        mm_cache_stats: Any = None,
        engine_idx: int = 0,
    ) -> None:
        if scheduler_stats is not None:
            self._running = scheduler_stats.num_running_reqs
            self._waiting = scheduler_stats.num_waiting_reqs
            self._kv_usage = scheduler_stats.kv_cache_usage
        if iteration_stats is not None and iteration_stats.time_to_first_tokens_iter:
            now = time.monotonic()
            self._ttft.extend((now, s) for s in iteration_stats.time_to_first_tokens_iter)

    def log_engine_initialized(self) -> None:
        """Nothing to say: the replica reports readiness itself."""

    def load(self, unfinished: int) -> ReplicaLoad:
        """The load now.

        Args:
            unfinished: Requests the front end still holds. With none, the last scheduler step is
                stale (vLLM reports nothing while idle) and counts as empty.
        """
        horizon = time.monotonic() - _TTFT_MEMORY_S
        while self._ttft and self._ttft[0][0] < horizon:
            self._ttft.popleft()
        recent = [s for _, s in self._ttft]
        running = min(self._running, unfinished)
        return ReplicaLoad(
            running=running,
            waiting=max(0, unfinished - running),
            kv_usage=self._kv_usage if unfinished else 0.0,
            ttft_s=sum(recent) / len(recent) if recent else 0.0,
        )
