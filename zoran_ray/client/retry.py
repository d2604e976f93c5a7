"""Whether and when to ask again. Pure: it is told the time and never sleeps."""

import random
from collections.abc import Callable

from zoran_ray.errors import DeadlineExceeded, RateLimited, Unavailable, Unreachable, ZoranError

FIRST_WAIT_S = 0.2
MAX_WAIT_S = 8.0


class Retries:
    """The attempts of one request, all before the first byte of an answer, when asking again is safe.

    Args:
        most: Attempts after the first.
        ends: When all attempts must be over, on `clock`.
        clock: Monotonic seconds.
        rng: Spreads the waits of many clients.
    """

    def __init__(self, most: int, ends: float, clock: Callable[[], float], rng: random.Random) -> None:
        self._left = most
        self._ends = ends
        self._clock = clock
        self._rng = rng
        self._wait_s = FIRST_WAIT_S

    def wait_s(self, error: ZoranError) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            ZoranError: `error` itself, when there is to be no other attempt.
        """
        again = isinstance(error, Unreachable | RateLimited | Unavailable)
        if self._left == 0 or not again or isinstance(error, DeadlineExceeded):
            raise error
        wait_s = error.retry_after_s
        if wait_s is None:
            wait_s = self._wait_s * self._rng.uniform(0.5, 1.5)
        if self._clock() + wait_s >= self._ends:
            raise error
        self._left -= 1
        self._wait_s = min(2 * self._wait_s, MAX_WAIT_S)
        return wait_s
