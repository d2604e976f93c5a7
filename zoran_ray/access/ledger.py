"""The one authority on how much of each limit is used. Plain and synchronous; an actor wraps it.

Keeps nothing about single leases: units of a gateway that is never heard of again count as used and
leave with their window, like all others. Nothing is durable: a restarted ledger starts from zero, so a
crash can admit one limit twice within a minute.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable

from zoran_ray.access.leases import LEASE_LIFE_S, WINDOW_S, Ask, Charge, Grant, Kind, Receipt, Settlement
from zoran_ray.access.window import SlidingWindow
from zoran_ray.errors import Overloaded

SLOT_S = 0.5
"""Resolution of the count, in seconds: units come free at most this much later than they could."""


class Ledger:
    """One sliding window for each key and kind that was used in the last minute.

    Args:
        clock: Seconds, monotonic.
        epoch: Differs in each life of the ledger.
        max_windows: Most windows in use at once.
    """

    def __init__(self, clock: Callable[[], float], epoch: str, max_windows: int = 20_000) -> None:
        self._clock = clock
        self._epoch = epoch
        self._max_windows = max_windows
        self._windows: OrderedDict[tuple[str, Kind], SlidingWindow] = OrderedDict()  # least recent first

    def lease(self, asks: Iterable[Ask], settlements: Iterable[Settlement] = ()) -> tuple[Grant, ...]:
        """Books `settlements`, then grants all `asks` or, if the need of one does not fit, none.

        Returns:
            One grant for each ask, in order.

        Raises:
            Overloaded: More keys are in use at once than this ledger holds.
        """
        now = self._clock()
        self._forget_empty(now)
        for entry in settlements:
            self._settle(now, entry)
        wishes = [(ask, self._window(ask.key_id, ask.kind, ask.limit)) for ask in asks]
        fits = all(window.free(now) >= ask.need for ask, window in wishes)
        return tuple(self._grant(now, ask, window, fits) for ask, window in wishes)

    def __len__(self) -> int:
        """Windows held."""
        return len(self._windows)

    def _grant(self, now: float, ask: Ask, window: SlidingWindow, fits: bool) -> Grant:
        granted = min(ask.want, window.free(now)) if fits else 0
        retry_after_s = 0.0 if fits else window.reset_s(now, ask.need)
        if granted:
            window.charge(now, granted)
        return Grant(
            granted=granted,
            remaining=window.free(now),
            retry_after_s=retry_after_s,
            reset_s=window.reset_s(now, ask.limit),
            receipt=Receipt(self._epoch, now),
        )

    def _settle(self, now: float, entry: Settlement) -> None:
        if isinstance(entry, Charge):
            self._window(entry.key_id, entry.kind, entry.limit).charge(now, entry.units)
            return
        window = self._windows.get((entry.key_id, entry.kind))
        if window is not None and entry.receipt.epoch == self._epoch:
            window.give_back(entry.receipt.at, entry.units)

    def _window(self, key_id: str, kind: Kind, limit: int) -> SlidingWindow:
        window = self._windows.get((key_id, kind))
        if window is None:
            if len(self._windows) >= self._max_windows:
                # Dropping one that still counts would admit its limit twice: refuse instead.
                raise Overloaded(
                    "Too many API keys with limits are in use at once. Try again in a minute.",
                    retry_after_s=WINDOW_S,
                )
            slots = round((WINDOW_S + LEASE_LIFE_S) / SLOT_S)
            window = self._windows[key_id, kind] = SlidingWindow(limit, slots, SLOT_S)
        window.limit = limit
        self._windows.move_to_end((key_id, kind))
        return window

    def _forget_empty(self, now: float) -> None:
        while self._windows and next(iter(self._windows.values())).used(now) == 0:
            self._windows.popitem(last=False)
