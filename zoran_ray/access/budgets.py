"""Budgets in USD, and what gateways and the ledger say to each other about them. Frozen values.

A request reserves the most it can cost before anything is sent, and settles what it did cost when it is
over: answered, failed, streamed or cancelled. What is settled and what is reserved together never exceed
a budget, as long as no request costs more than it reserved. Amounts are nano-USD (`access.money`); days are
UTC days, and a request belongs to the day it began in.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from zoran_ray.access.money import MOST_NANO_USD, nano_usd, shown
from zoran_ray.errors import BudgetExceeded, InvalidRequest

DAY_S = 86_400
MOST_ACCOUNT = 4 * 10**18
"""Where accounts stop counting, in nano-USD: four billion dollars a day, and 64 bits are full at nine."""
MOST_LEASE_S = 7 * DAY_S
"""Longest a reservation may be held, in seconds."""
EVERYBODY = ""
"""The owner of the deployment's own budget; the others are key ids."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one key, or the whole deployment, may spend.

    Attributes:
        per_day: Nano-USD in one UTC day, None for no limit.
        per_request: Nano-USD for one request, None for no limit.
    """

    per_day: int | None = None
    per_request: int | None = None

    @classmethod
    def of_usd(cls, per_day: float | None = None, per_request: float | None = None) -> "Budget":
        """A budget from amounts in USD.

        Raises:
            ConfigError: An amount is not a number, negative or infinite.
        """
        return cls(
            None if per_day is None else nano_usd(per_day, "usd_per_day"),
            None if per_request is None else nano_usd(per_request, "usd_per_request"),
        )

    @property
    def unlimited(self) -> bool:
        """Whether there is nothing to keep to."""
        return self.per_day is None and self.per_request is None


UNLIMITED = Budget()


@dataclass(frozen=True, slots=True)
class Reserve:
    """A wish to spend.

    Attributes:
        reservation_id: Chosen by the caller, different for each request. Asking twice reserves once.
        key_id: Whose request it is; `EVERYBODY` where there are no keys.
        most: The most it can cost, in nano-USD.
        lease_s: Seconds after which the caller must be dead if it has not settled: longer than the
            request's deadline. Until then the whole amount counts as spent.
        budget: The key's budget.
        already: What earlier tries of the same request did cost, in nano-USD; it counts only towards the
            most that one request may cost, because those tries have accounts of their own.

    Raises:
        InvalidRequest: An amount or a time is no sensible number.
    """

    reservation_id: str
    key_id: str
    most: int
    lease_s: float
    budget: Budget = UNLIMITED
    already: int = 0

    def __post_init__(self) -> None:
        _check_id(self.reservation_id)
        _check_amount(self.most)
        _check_amount(self.already)
        if not (math.isfinite(self.lease_s) and 0 < self.lease_s <= MOST_LEASE_S):
            raise InvalidRequest(f"A reservation is held for up to {MOST_LEASE_S} s, and more than 0.")


@dataclass(frozen=True, slots=True)
class Settle:
    """What a request did cost. Counts once; later ones, and unknown ids, change nothing.

    Attributes:
        actual: Nano-USD, 0 if nothing was sent.

    Raises:
        InvalidRequest: The amount is no sensible number.
    """

    reservation_id: str
    actual: int

    def __post_init__(self) -> None:
        _check_id(self.reservation_id)
        _check_amount(self.actual)


Entry = Reserve | Settle


@dataclass(frozen=True, slots=True)
class Spent:
    """One owner's account of one day, in nano-USD.

    Attributes:
        settled: What finished requests did cost.
        reserved: The most that running requests can cost, those of dead gateways included.
    """

    settled: int = 0
    reserved: int = 0

    @property
    def total(self) -> int:
        """What counts against the budget."""
        return self.settled + self.reserved


def refusal(wish: Reserve, owner: str, budget: Budget, spent: Spent, day: int) -> BudgetExceeded | None:
    """Why a budget does not allow a wish, None if it does. What costs nothing is always allowed.

    Args:
        owner: `EVERYBODY` or the key's id.
        spent: The owner's account of that day.
        day: Days since 1970-01-01, UTC.
    """
    if wish.most == 0:
        return None
    whose = "this deployment" if owner == EVERYBODY else "this API key"
    mend = "Lower max_tokens, shorten the prompt or choose a cheaper model."
    if budget.per_request is not None and wish.already + wish.most > budget.per_request:
        before = f" after the {shown(wish.already)} of earlier tries" if wish.already else ""
        return BudgetExceeded(
            f"The budget of {whose} is {shown(budget.per_request)} for one request, and this one may cost"
            f" up to {shown(wish.most)}{before}. {mend}",
            param="max_tokens",
        )
    per_day = MOST_ACCOUNT if budget.per_day is None else budget.per_day
    if spent.total + wish.most <= per_day:
        return None
    left = max(0, per_day - spent.total)
    renews = datetime.fromtimestamp((day + 1) * DAY_S, UTC).strftime("%Y-%m-%d %H:%M UTC")
    # More than a whole day's budget will not fit tomorrow either.
    advice = f" {mend}" if wish.most > per_day else ""
    return BudgetExceeded(
        f"The budget of {whose} is {shown(per_day)} a day; {shown(left)} is left, and this request"
        f" may cost up to {shown(wish.most)}. It renews at {renews}.{advice}"
    )


def _check_id(reservation_id: str) -> None:
    if not 0 < len(reservation_id) <= 200:
        raise InvalidRequest("A reservation's id has 1 to 200 characters.")


def _check_amount(nano: int) -> None:
    if type(nano) is not int or not 0 <= nano <= MOST_NANO_USD:
        raise InvalidRequest("An amount of money must be a whole number of nano-USD from 0 to 10^17.")
