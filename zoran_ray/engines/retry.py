"""Whether, when and whom to ask again. Knows errors and names of arms, no transport.

All tries of one request share one deadline, and there is none after the client has got something.
"""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from zoran_ray.errors import (
    EngineError,
    ProviderBusy,
    Unavailable,
    Unreachable,
    UpstreamError,
    ZoranError,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a request is.

    Attributes:
        tries_per_arm: Tries of one arm, the first included.
        most_tries: Tries of all arms together.
        first_wait_s: Longest wait before the second try, in seconds; doubles with each try of an arm.
        most_wait_s: Longest wait that is not the provider's own wish, in seconds.
        patience_s: Longest wait for an arm while another one could be asked at once, in seconds.
    """

    tries_per_arm: int = 3
    most_tries: int = 8
    first_wait_s: float = 0.25
    most_wait_s: float = 8.0
    patience_s: float = 1.0


DEFAULT_POLICY = RetryPolicy()


class Tries:
    """The tries of one request.

    Args:
        arms: Who may be asked, in order; taken one by one, so the router can choose late.
        deadline: When all must be over, on `clock`.
        clock: Monotonic seconds.
        rng: Spreads the waits of many requests.
        usable: Whether an arm is in the choice now (`Breaker.usable`).

    Attributes:
        arm: Who is to be asked now.
        count: Tries begun, this one included.

    Raises:
        Unavailable: None of the arms is usable.
    """

    def __init__(
        self,
        arms: Iterable[str],
        deadline: float,
        *,
        policy: RetryPolicy = DEFAULT_POLICY,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        usable: Callable[[str], bool] = lambda arm: True,
    ) -> None:
        self._arms = iter(arms)
        self._deadline = deadline
        self._policy = policy
        self._clock = clock
        self._rng = rng or random.Random()
        self._usable = usable
        self._tries_here = 1
        self.count = 1
        first = self._next()
        if first is None:
            raise Unavailable(
                "Every model that could answer this request has been failing; try again shortly.",
                retry_after_s=1.0,
            )
        self.arm: str = first

    def after(self, error: ZoranError, *, began: bool) -> float:
        """Decides what follows a failed try; `arm` says who is to be asked next.

        Args:
            error: Why the try failed.
            began: Whether the client has got a part of the answer.

        Returns:
            Seconds to wait first.

        Raises:
            ZoranError: `error` itself, when there is to be no other try.
        """
        left_s = self._deadline - self._clock()
        if began or left_s <= 0 or self.count >= self._policy.most_tries or not _another_may_help(error):
            raise error
        wait_s = self._wait_s(error, left_s)
        if wait_s is None or wait_s > self._policy.patience_s:
            if (other := self._next()) is not None:
                self.arm, self._tries_here, wait_s = other, 0, 0.0
            elif wait_s is None:
                raise error
        self._tries_here += 1
        self.count += 1
        return wait_s

    async def run(
        self,
        ask: Callable[[str], Awaitable[T]],
        *,
        began: Callable[[], bool],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> T:
        """Asks until one try succeeds.

        Args:
            ask: One try of one arm. Keeps to the deadline itself.
            began: Whether the client has got a part of the answer.

        Raises:
            ZoranError: That of the last try.
        """
        while True:
            try:
                return await ask(self.arm)
            except ZoranError as error:
                wait_s = self.after(error, began=began())
            if wait_s > 0:
                await sleep(wait_s)

    def _wait_s(self, error: ZoranError, left_s: float) -> float | None:
        """Seconds until the same arm may be asked again, None if it may not.

        Source: full jitter, Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        if not isinstance(error, ProviderBusy | UpstreamError) or not self._usable(self.arm):
            return None
        if self._tries_here >= self._policy.tries_per_arm:
            return None
        asked_s = _seconds(error.retry_after_s)
        window_s = min(self._policy.first_wait_s * 2 ** (self._tries_here - 1), self._policy.most_wait_s)
        # Also after the provider's own wish: all who were refused together would come back together.
        room_s = left_s - asked_s
        if room_s <= 0:
            return None
        return asked_s + self._rng.uniform(0, min(window_s, room_s))

    def _next(self) -> str | None:
        return next((arm for arm in self._arms if self._usable(arm)), None)


def _another_may_help(error: ZoranError) -> bool:
    """Whether the fault is the arm's. A deadline that passed may be the arm's own, not the request's."""
    return isinstance(error, EngineError | Unavailable | Unreachable)


def _seconds(retry_after_s: float | None) -> float:
    """What a provider asked for; 0 for what is no time at all."""
    if retry_after_s is None or math.isnan(retry_after_s):
        return 0.0
    return max(0.0, retry_after_s)
