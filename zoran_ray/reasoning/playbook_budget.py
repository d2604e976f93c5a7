"""A budget within a budget: what a playbook may use is never more than what its request may."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from zoran_ray.reasoning.budget import Budget, BudgetSpent, Purse
from zoran_ray.reasoning.completion import Used


class PurseWithin(Purse):
    """A purse whose calls are paid from another one too.

    Args:
        outer: The request's.
        budget: Narrower bounds.
        clock: Monotonic seconds.
    """

    def __init__(self, outer: Purse, budget: Budget, clock: Callable[[], float]) -> None:
        super().__init__(budget, clock)
        self._own = Purse(budget, clock)
        self._outer = outer

    @property
    def ends(self) -> float:
        """When the time of either is over."""
        return min(self._own.ends, self._outer.ends)

    def fits(self, most: Used) -> str | None:
        """As `Purse.fits`, in both."""
        return self._outer.fits(most) or self._own.fits(most)

    def may_fit_later(self, most: Used) -> bool:
        """As `Purse.may_fit_later`: both have or may get the room."""
        if self.fits(most) is None:
            return False
        return all(
            purse.fits(most) is None or purse.may_fit_later(most) for purse in (self._outer, self._own)
        )

    @contextmanager
    def reserved(self, most: Used) -> Iterator[Callable[[Used], None]]:
        """As `Purse.reserved`, in both."""
        if reason := self.fits(most):
            raise BudgetSpent(reason)
        with self._outer.reserved(most) as outer, self._own.reserved(most) as own:

            def settle(used: Used) -> None:
                outer(used)
                own(used)
                self.used += used

            yield settle
