"""Takes an arm that keeps failing out of the choice, and lets it back in. Pure: told the time, never waits.

    closed ──too many failures──► open ──its time is over──► half open ──all probes succeed──► closed
                                    ▲                            │
                                    └────────a probe fails───────┘  each time for twice as long

Source: M. Nygard, "Release It!", 2nd edition, 2018, "Circuit Breaker".
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from zoran_ray.errors import DeadlineExceeded, EngineError, Unavailable, Unreachable, ZoranError

State = Literal["closed", "open", "half_open"]

SLOTS = 10
"""Parts of the window that leave it one by one."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When an arm is taken out, and for how long.

    Attributes:
        window_s: Results count for this long, in seconds, and up to a tenth longer.
        least_results: Fewer than this say nothing.
        failure_share: Open when this part of the results, 0..1, or more are failures.
        open_s: How long the first time, in seconds.
        most_open_s: How long at most, in seconds.
        probes: Requests let through at once when half open; as many must succeed.
    """

    window_s: float = 30.0
    least_results: int = 5
    failure_share: float = 0.5
    open_s: float = 5.0
    most_open_s: float = 120.0
    probes: int = 1


DEFAULT_POLICY = BreakerPolicy()


class Call:
    """One request to an arm that has begun. Exactly one of the three ends it; later ones change nothing."""

    __slots__ = ("_breaker", "_ended", "period")

    def __init__(self, breaker: "Breaker", period: int) -> None:
        self._breaker = breaker
        self._ended = False
        self.period = period

    def succeeded(self) -> None:
        """The whole answer has come; an answer that has only begun may still break off."""
        self._end(True)

    def failed(self) -> None:
        """The arm's fault, before the answer or in the middle of it."""
        self._end(False)

    def abandoned(self) -> None:
        """It says nothing of the arm: the client left, or asked for nonsense."""
        self._end(None)

    def _end(self, good: bool | None) -> None:
        if not self._ended:
            self._ended = True
            self._breaker._take(self.period, good)


class Breaker:
    """The circuit breaker of one arm at one gateway.

    Args:
        arm: Its name, for messages.
        clock: Monotonic seconds.
    """

    def __init__(
        self, arm: str, clock: Callable[[], float], policy: BreakerPolicy = DEFAULT_POLICY
    ) -> None:
        self._arm = arm
        self._clock = clock
        self._policy = policy
        self._results: dict[int, list[int]] = {}  # slot -> failures, successes; oldest first
        self._state: State = "closed"
        self._period = 0  # grows with every change of state: results of an earlier one say nothing any more
        self._opens_at = -math.inf
        self._times_opened = 0
        self._probing = 0
        self._probes_good = 0

    @property
    def state(self) -> State:
        """What it is now."""
        if self._state == "open" and self._clock() >= self._opens_at:
            self._become("half_open")
            self._probing = self._probes_good = 0
        return self._state

    @property
    def usable(self) -> bool:
        """Whether `begin` would let a request through: what keeps an arm in the choice."""
        state = self.state
        return state == "closed" or (state == "half_open" and self._probing < self._policy.probes)

    def check(self) -> None:
        """Raises: Unavailable, if the arm is out of the choice."""
        if wait_s := self.wait_s:
            raise Unavailable(
                f"'{self._arm}' has been failing and is left alone for a while.", retry_after_s=wait_s
            )

    def begin(self) -> Call:
        """A request goes to the arm.

        Raises:
            Unavailable: The arm is out of the choice; nothing is counted.
        """
        self.check()
        if self._state == "half_open":
            self._probing += 1
        return Call(self, self._period)

    @property
    def wait_s(self) -> float:
        """Seconds until a request may be let through again, 0 if one may be now."""
        if self.usable:
            return 0.0
        # A probe that is under way may take any time.
        return max(self._opens_at - self._clock(), self._policy.open_s / SLOTS)

    @contextmanager
    def watch(self, fault: Callable[[BaseException], bool] | None = None) -> Iterator[None]:
        """One request, from its beginning to the end of its answer.

        Args:
            fault: Whether an error speaks against the arm, if `arms_fault` is not to say.

        Raises:
            Unavailable: As `begin`.
        """
        call = self.begin()
        try:
            yield
        except BaseException as error:
            if (fault or arms_fault)(error):
                call.failed()
            else:
                call.abandoned()
            raise
        call.succeeded()

    def failures(self) -> tuple[int, int]:
        """Failures and all results in the window."""
        self._forget()
        failed = sum(bad for bad, _ in self._results.values())
        return failed, failed + sum(good for _, good in self._results.values())

    def _take(self, period: int, good: bool | None) -> None:
        if period != self._period:
            return
        if self._state == "half_open":
            self._probed(good)
        elif good is not None:
            self._count(good)

    def _probed(self, good: bool | None) -> None:
        self._probing -= 1
        if good is None:
            return
        if not good:
            self._open()
            return
        self._probes_good += 1
        if self._probes_good >= self._policy.probes:
            self._become("closed")
            self._times_opened = 0

    def _count(self, good: bool) -> None:
        slot = self._results.setdefault(self._slot(), [0, 0])
        slot[good] += 1
        failed, results = self.failures()
        if (
            results >= self._policy.least_results
            and failed >= self._policy.failure_share * results
            and failed
        ):
            self._open()

    def _open(self) -> None:
        wait_s = min(self._policy.open_s * 2.0**self._times_opened, self._policy.most_open_s)
        self._times_opened = min(self._times_opened + 1, 64)
        self._opens_at = self._clock() + wait_s
        self._become("open")

    def _become(self, state: State) -> None:
        self._state = state
        self._period += 1
        self._results.clear()

    def _slot(self) -> int:
        return math.floor(self._clock() / self._policy.window_s * SLOTS)

    def _forget(self) -> None:
        oldest = self._slot() - SLOTS
        while self._results and (slot := next(iter(self._results))) < oldest:
            del self._results[slot]


def arms_fault(error: BaseException) -> bool:
    """Whether an error that ended a request speaks against the arm.

    A cancelled request does not, nor does one that was wrong or found no room. An error that nobody
    foresaw does: an arm whose every answer breaks our reading of it is of no use.
    """
    if isinstance(error, ZoranError):
        return isinstance(error, EngineError | DeadlineExceeded | Unreachable)
    return isinstance(error, Exception)
