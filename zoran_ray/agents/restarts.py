"""How often something that died is started again: `intensity` times in `period_s`, then not any more. Pure.

Source: Erlang/OTP Design Principles, "Maximum Restart Intensity".
"""

from collections import deque
from collections.abc import Callable


class Restarts:
    """The restarts of one child.

    Args:
        intensity: Most restarts within the period.
        period_s: In seconds; so long it stays given up, too.
        clock: Monotonic seconds.
    """

    def __init__(self, intensity: int, period_s: float, clock: Callable[[], float]) -> None:
        self._intensity = intensity
        self._period_s = period_s
        self._clock = clock
        self._deaths: deque[float] = deque()
        self._given_up_at: float | None = None

    def died(self) -> bool:
        """Notes a death. Returns: Whether to start it again."""
        now = self._clock()
        while self._deaths and self._deaths[0] <= now - self._period_s:
            self._deaths.popleft()
        self._deaths.append(now)
        if len(self._deaths) > self._intensity:
            self._given_up_at = now
            self._deaths.clear()
        return self.given_up_s == 0.0

    def pardon(self) -> None:
        """Forgets all deaths: an operator has mended what was wrong."""
        self._deaths.clear()
        self._given_up_at = None

    @property
    def given_up_s(self) -> float:
        """How long it stays given up, in seconds; 0 where it is not."""
        if self._given_up_at is None:
            return 0.0
        return max(0.0, self._given_up_at + self._period_s - self._clock())
