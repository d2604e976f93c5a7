"""What one gateway still has to tell the ledger. Knows no transport."""

from collections.abc import Iterable

from zoran_ray.access.leases import Charge, Kind, Receipt, Refund, Settlement


class Settlements:
    """Refunds and charges that wait for the next call to the ledger, added up by key and kind.

    Bounded by what one gateway has in flight: an entry is made when a request ends or a lease runs out,
    all leave with the next call, and while no call succeeds no new request with limits is admitted.
    """

    def __init__(self) -> None:
        self._refunds: dict[tuple[str, Kind, Receipt], int] = {}
        self._charges: dict[tuple[str, Kind, int], int] = {}

    def add(self, entry: Settlement) -> None:
        """Remembers one entry until `take`."""
        if isinstance(entry, Refund):
            source = (entry.key_id, entry.kind, entry.receipt)
            self._refunds[source] = self._refunds.get(source, 0) + entry.units
        else:
            debtor = (entry.key_id, entry.kind, entry.limit)
            self._charges[debtor] = self._charges.get(debtor, 0) + entry.units

    def take(self) -> tuple[Settlement, ...]:
        """All entries; the caller sends them or gives them to `keep`."""
        refunds = [Refund(*source[:2], units, source[2]) for source, units in self._refunds.items()]
        charges = [Charge(*debtor[:2], units, debtor[2]) for debtor, units in self._charges.items()]
        self._refunds.clear()
        self._charges.clear()
        return (*refunds, *charges)

    def keep(self, entries: Iterable[Settlement]) -> None:
        """Takes back the charges among entries whose call failed.

        The call may have arrived all the same. A charge counted twice admits too little; a refund
        counted twice would admit too much, so those are given up.
        """
        for entry in entries:
            if isinstance(entry, Charge):
                self.add(entry)

    def __len__(self) -> int:
        return len(self._refunds) + len(self._charges)
