"""Is a new snapshot of the fleet better than the one a gateway has?"""

from collections.abc import Callable

from zoran_ray.messages import FleetSnapshot

DOUBT_S = 5.0
"""Longer than replicas need to tell a restarted registry that they are there."""


class Doubt:
    """Holds on to what is known while a restarted registry knows nobody yet, but not for ever.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._epoch = ""
        self._since = 0.0

    def accepts(self, fresh: FleetSnapshot, known: FleetSnapshot) -> bool:
        """Whether to take `fresh` over."""
        if fresh.epoch == known.epoch or (fresh.replicas and fresh.models) or not known.replicas:
            self._epoch = ""
            return True
        if self._epoch != fresh.epoch:
            self._epoch, self._since = fresh.epoch, self._clock()
        return self._clock() - self._since > DOUBT_S
