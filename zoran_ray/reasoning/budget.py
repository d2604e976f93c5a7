"""What one request may use: reserved before each call, settled after it."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from zoran_ray.reasoning.completion import NOTHING_USED, Used


class BudgetSpent(Exception):
    """The next call does not fit any more: `reason` is `tokens`, `usd`, `wall_s` or `calls`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Budget:
    """Bounds of one request; None for no bound.

    Attributes:
        tokens: Tokens of prompts and answers together.
        nano_usd: Money, in billionths of a USD.
        wall_s: Time, in seconds.
        calls: Calls of the model.
    """

    tokens: int | None = None
    nano_usd: int | None = None
    wall_s: float | None = None
    calls: int | None = None


class Purse:
    """Keeps a budget over calls that run at the same time.

    Args:
        budget: The bounds.
        clock: Monotonic seconds.

    Attributes:
        used: What calls that ended did use.
    """

    def __init__(self, budget: Budget, clock: Callable[[], float]) -> None:
        self._budget = budget
        self._clock = clock
        self._ends = math.inf if budget.wall_s is None else clock() + budget.wall_s
        self._held = NOTHING_USED
        self.used = NOTHING_USED

    @property
    def ends(self) -> float:
        """When the time is over, in seconds of the clock; infinity for never."""
        return self._ends

    def fits(self, most: Used) -> str | None:
        """Why a call that may use so much does not fit; None where it does."""
        return self._over(self.used + self._held + most)

    def may_fit_later(self, most: Used) -> bool:
        """Whether a call that does not fit now does if calls that run use less than was held for them."""
        return self.fits(most) is not None and self._held.calls > 0 and self._over(self.used + most) is None

    def _over(self, taken: Used) -> str | None:
        budget = self._budget
        if self._clock() >= self._ends:
            return "wall_s"
        if budget.calls is not None and taken.calls > budget.calls:
            return "calls"
        if budget.tokens is not None and taken.tokens > budget.tokens:
            return "tokens"
        if budget.nano_usd is not None and taken.nano_usd > budget.nano_usd:
            return "usd"
        return None

    @contextmanager
    def reserved(self, most: Used) -> Iterator[Callable[[Used], None]]:
        """Holds what a call may use; call what is given with what it did use.

        A call that ends without saying is charged all that was held: nobody knows what it used.

        Raises:
            BudgetSpent: It does not fit.
        """
        if reason := self.fits(most):
            raise BudgetSpent(reason)
        self._held += most
        did_use = most

        def settle(used: Used) -> None:
            nonlocal did_use
            did_use = used

        try:
            yield settle
        finally:
            self._held += Used(
                -most.calls,
                -most.prompt_tokens,
                -most.cached_tokens,
                -most.completion_tokens,
                -most.nano_usd,
            )
            self.used += did_use
