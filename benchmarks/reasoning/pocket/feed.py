"""Batches one after the other, from any place on. Knows how far it is: a training can go on there."""

from collections.abc import Callable, Iterator

from benchmarks.reasoning.pocket.mixture import Rows

PoolsFrom = Callable[[int], Iterator[list[Rows]]]
"""All pools from one on, by its number."""


class Feed:
    """Gives batches to a training.

    Args:
        pools_from: Where they come from.
        parts: Batches that are learned from together. One alone has lessons of one length, and so of few
            kinds: the weights would be moved for one task after the other.

    Attributes:
        pool: Number of the pool that is being used.
        used: Batches of it that were given.
    """

    def __init__(self, pools_from: PoolsFrom, parts: int) -> None:
        self._pools_from = pools_from
        self._parts = parts
        self.go_to(0, 0)

    def go_to(self, pool: int, used: int) -> None:
        """Goes to a place."""
        self.pool, self.used = pool, used
        self._pools = self._pools_from(pool)
        self._batches: list[Rows] | None = None

    def take(self) -> list[Rows]:
        """The batches of one step."""
        return [self._next() for _ in range(self._parts)]

    def _next(self) -> Rows:
        if self._batches is None:
            self._batches = next(self._pools)
        if self.used == len(self._batches):
            self._batches = next(self._pools)
            self.pool, self.used = self.pool + 1, 0
        self.used += 1
        return self._batches[self.used - 1]
