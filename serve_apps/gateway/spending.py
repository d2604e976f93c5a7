"""Money at one gateway: set aside before a paid request is sent, settled when it is over.

Where the authority does not answer nothing paid goes out. Settlements never wait: they are sent in the
background, again and again until they are acknowledged. Knows neither prices nor providers.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count, islice
from types import TracebackType
from typing import Any

from actors.names import ACCESS, call
from zoran_ray.access import Budget, Reserve, Settle
from zoran_ray.errors import BudgetExceeded, Unavailable
from zoran_ray.messages import KeyInfo

log = logging.getLogger("zoran.gateway")

_BATCH = 500
_RETRY_S = 0.2


class Spending:
    """Reservations of one gateway process.

    Args:
        call: Reaches the authority, like `actors.names.call`.
        reserve_s: Longest time a reservation may take, in seconds.
        settle_s: Longest time one message of settlements may take, in seconds.
        most_open: Reservations held and settlements unsent at once; one more is refused.
    """

    def __init__(
        self,
        call: Callable[..., Awaitable[Any]] = call,
        *,
        reserve_s: float = 2.0,
        settle_s: float = 5.0,
        most_open: int = 10_000,
    ) -> None:
        self._call = call
        self._reserve_s = reserve_s
        self._settle_s = settle_s
        self._most_open = most_open
        self._open: set[str] = set()
        self._unsent: dict[str, Settle] = {}
        self._work = asyncio.Event()
        self._sending = asyncio.Lock()
        self._prefix = uuid.uuid4().hex
        self._numbers = count(1)

    def tab(self, key: KeyInfo, lease_s: float) -> "Tab":
        """The account of one request; see `Tab`.

        Args:
            lease_s: As for `reserve`.
        """
        # Never the request's own id: a client chooses that, and the same one twice would be free.
        return Tab(self, f"{self._prefix}-{next(self._numbers)}", key, lease_s)

    async def reserve(
        self, reservation_id: str, key: KeyInfo, most_nano: int, lease_s: float, already_nano: int = 0
    ) -> None:
        """Sets money aside; on return it is on disk. What costs nothing needs no call and no settlement.

        Args:
            reservation_id: Never used before, by any gateway, and not chosen by the client.
            most_nano: The most it can cost, in nano-USD.
            lease_s: Longer than the request can take, in seconds; see `access.Reserve`.
            already_nano: What earlier tries of the same request did cost.

        Raises:
            BudgetExceeded: Nothing is set aside.
            InvalidRequest: An amount, time or id is not sensible; nothing is set aside.
            Unavailable: The authority did not answer in time, or too much waits for it.
        """
        if most_nano == 0:
            return
        budget = Budget.of_usd(key.usd_per_day, key.usd_per_request)
        wish = Reserve(reservation_id, key.key_id, most_nano, lease_s, budget, already_nano)
        if len(self._open) + len(self._unsent) >= self._most_open:
            raise _unreachable()
        self._open.add(reservation_id)
        try:
            await self._call(ACCESS, "reserve", wish, timeout_s=self._reserve_s)
        except BudgetExceeded as refused:
            self._open.discard(reservation_id)
            # Ray's wrapper would carry the authority's stack.
            raise BudgetExceeded(
                refused.message, param=refused.param, retry_after_s=refused.retry_after_s
            ) from None
        except BaseException as failure:
            self.settle(reservation_id, 0)  # it may have been written all the same
            if not isinstance(failure, Exception):
                raise
            log.debug("money cannot be set aside: %s", type(failure).__name__)
            raise _unreachable() from failure

    def settle(self, reservation_id: str, actual_nano: int) -> None:
        """Books what a reserved request did cost, soon. Never waits. Counts once.

        Raises:
            InvalidRequest: A senseless amount; the reservation stays.
        """
        entry = Settle(reservation_id, actual_nano)
        if reservation_id in self._open:
            self._open.discard(reservation_id)
            self._unsent[reservation_id] = entry
            self._work.set()

    async def run(self) -> None:
        """Sends settlements until cancelled."""
        while True:
            await self._work.wait()
            await self._try_send()

    async def flush(self, timeout_s: float) -> None:
        """Sends what waits, for at most `timeout_s`; the rest counts in full until its leases are over."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._unsent:
                    await self._try_send()
        except TimeoutError:
            log.warning("%d settlements could not be sent before the end", len(self._unsent))

    def __len__(self) -> int:
        """Reservations held and settlements unsent."""
        return len(self._open) + len(self._unsent)

    async def _try_send(self) -> None:
        try:
            async with self._sending:
                batch = tuple(islice(self._unsent.values(), _BATCH))
                if batch:
                    await self._call(ACCESS, "settle", batch, timeout_s=self._settle_s)
                for entry in batch:
                    del self._unsent[entry.reservation_id]
                if not self._unsent:
                    self._work.clear()
        except Exception as failure:
            log.debug("settlements cannot be sent, they are kept: %s", type(failure).__name__)
            await asyncio.sleep(_RETRY_S)


class Tab:
    """What one request spends, try by try, so that a fallback to a dearer arm stays within every budget.

    Use as a context manager around all tries, one at a time: `reserve` before each is sent and `settle`
    when it is over, however it ended. A try that is left without `settle` counts in full. Calls that run at
    the same time each have their own `aside`.
    """

    def __init__(self, spending: Spending, tab_id: str, key: KeyInfo, lease_s: float) -> None:
        self._spending = spending
        self._id = tab_id
        self._key = key
        self._lease_s = lease_s
        self._tries = 0
        self._held_nano = 0
        self._open: tuple[str, int] | None = None
        self.spent_nano = 0
        """What the tries that are over did cost, in nano-USD."""

    async def reserve(self, most_nano: int) -> None:
        """Sets aside the most the next try can cost, in nano-USD. Raises: as `Spending.reserve`."""
        self.close()
        self._tries += 1
        reservation_id = f"{self._id}/{self._tries}"
        await self._spending.reserve(
            reservation_id, self._key, most_nano, self._lease_s, already_nano=self.spent_nano
        )
        self._open = (reservation_id, most_nano)

    @asynccontextmanager
    async def aside(self, most_nano: int) -> AsyncIterator[Callable[[int], None]]:
        """Sets aside the most that one of several calls at the same time can cost, in nano-USD.

        Call what is given with what it did cost; a call that ends without saying counts in full.

        Raises:
            ZoranError: As `Spending.reserve`; what the others may cost counts towards the request's budget.
        """
        self._tries += 1
        reservation_id, already = f"{self._id}/{self._tries}", self.spent_nano + self._held_nano
        self._held_nano += most_nano
        cost, began = most_nano, False

        def settle(actual_nano: int) -> None:
            nonlocal cost
            cost = actual_nano

        try:
            await self._spending.reserve(
                reservation_id, self._key, most_nano, self._lease_s, already_nano=already
            )
            began = True
            yield settle
        finally:
            self._held_nano -= most_nano
            if began:
                self._spending.settle(reservation_id, cost)
                self.spent_nano += cost

    def settle(self, actual_nano: int) -> None:
        """Books what the try did cost, in nano-USD; 0 if nothing was sent. Never waits, counts once.

        Raises:
            InvalidRequest: A senseless amount; the try stays open and `close` counts it in full.
        """
        if self._open is not None:
            self._spending.settle(self._open[0], actual_nano)
            self._open = None
            self.spent_nano += actual_nano

    def close(self) -> None:
        """Counts a try that nobody settled in full: what it did cost is not known."""
        if self._open is not None:
            self.settle(self._open[1])

    def __enter__(self) -> "Tab":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _unreachable() -> Unavailable:
    return Unavailable(
        "What this request may cost could not be set aside in time. Try again.", retry_after_s=1.0
    )
