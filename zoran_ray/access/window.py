"""How many units were taken in the last minute, counted in slots of time.

Knows no key, no gateway and no clock: every method is told what time it is.
"""

import math


class SlidingWindow:
    """Counts units so that no window of `slots * slot_s` seconds holds more than `limit`.

    A unit leaves when the whole slot it was taken in is too old, so it counts for at most one slot
    longer than it must and never shorter. Time is in seconds from any origin and never runs backwards.

    Args:
        limit: Most units in any window.
        slots: Slots in one window.
        slot_s: Length of a slot, in seconds.
    """

    def __init__(self, limit: int, slots: int = 60, slot_s: float = 1.0) -> None:
        self.limit = limit
        self._slots = slots
        self._slot_s = slot_s
        self._taken: dict[int, int] = {}  # slot -> units; oldest first, because time never runs backwards
        self._total = 0

    def take(self, now: float, n: int) -> bool:
        """Counts `n` units if they fit, otherwise none; says which."""
        if self.used(now) + n > self.limit:
            return False
        self.charge(now, n)
        return True

    def charge(self, now: float, n: int) -> None:
        """Counts `n` units whether they fit or not: what has been used already cannot be refused."""
        self._expire(now)
        slot = self._slot(now)
        self._taken[slot] = self._taken.get(slot, 0) + n
        self._total += n

    def give_back(self, taken_at: float, n: int) -> int:
        """Uncounts up to `n` units in the slot they were taken in; units that have left stay gone.

        Returns:
            How many units were uncounted.
        """
        slot = self._slot(taken_at)
        held = self._taken.get(slot, 0)
        back = min(n, held)
        if back == held:
            self._taken.pop(slot, None)
        else:
            self._taken[slot] = held - back
        self._total -= back
        return back

    def used(self, now: float) -> int:
        """Units counted now; above `limit` only through `charge`."""
        self._expire(now)
        return self._total

    def free(self, now: float) -> int:
        """Units that would fit now."""
        return max(0, self.limit - self.used(now))

    def reset_s(self, now: float, n: int) -> float:
        """Seconds until `n` more units fit; infinite when they never will."""
        excess = self.used(now) + n - self.limit
        if excess <= 0:
            return 0.0
        for slot, units in self._taken.items():
            excess -= units
            if excess <= 0:
                return (slot + self._slots + 1) * self._slot_s - now
        return math.inf

    def _slot(self, at: float) -> int:
        return math.floor(at / self._slot_s)

    def _expire(self, now: float) -> None:
        oldest = self._slot(now) - self._slots
        while self._taken and (slot := next(iter(self._taken))) < oldest:
            self._total -= self._taken.pop(slot)
