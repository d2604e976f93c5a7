"""How many GPUs the Ray cluster has, for a caller that must not wait for the answer."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger("zoran.autoscaling")


@dataclass(frozen=True, slots=True)
class GpuCount:
    """GPUs of the nodes that are alive, as Ray counts them.

    Attributes:
        free: Not reserved by any actor, task or placement group.
        alive: All of them.
    """

    free: float = 0.0
    alive: float = 0.0


def ask_ray() -> GpuCount:
    """Ask the cluster this process belongs to. Blocks for as long as the GCS takes to answer."""
    import ray

    return GpuCount(
        free=float(ray.available_resources().get("GPU", 0.0)),
        alive=float(ray.cluster_resources().get("GPU", 0.0)),
    )


class ClusterGpus:
    """The last known count, refreshed by a thread of its own.

    Args:
        ask: Gives the count; may block or fail.
        clock: Monotonic seconds.
        refresh_s: Age in seconds at which the count is asked for again.
        deadline_s: Longest `count` waits for a fresh answer, in seconds.
    """

    def __init__(
        self,
        ask: Callable[[], GpuCount] = ask_ray,
        clock: Callable[[], float] = time.monotonic,
        *,
        refresh_s: float = 2.0,
        deadline_s: float = 0.2,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._refresh_s = refresh_s
        self._deadline_s = deadline_s
        self._last = GpuCount()
        self._asked_at = float("-inf")
        self._asking: threading.Thread | None = None

    def count(self) -> GpuCount:
        """What is known; an answer that is late or fails leaves the last one in place."""
        now = self._clock()
        busy = self._asking is not None and self._asking.is_alive()
        if now - self._asked_at >= self._refresh_s and not busy:
            self._asked_at = now
            self._asking = threading.Thread(target=self._refresh, name="cluster-gpus", daemon=True)
            self._asking.start()
            self._asking.join(self._deadline_s)
        return self._last

    def _refresh(self) -> None:
        try:
            self._last = self._ask()
        except Exception as failure:
            log.warning("GPUs of the cluster cannot be counted, the last count stays: %s", failure)
