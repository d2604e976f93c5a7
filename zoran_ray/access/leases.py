"""What gateways and the ledger say to each other. Plain frozen values; knows no transport.

A gateway takes units in *leases* and spends them without asking again. Three rules make that exact:

- Units count from the moment they are leased, and a lease may be spent for `LEASE_LIFE_S` only. The
  ledger keeps every unit for a minute plus that life, so no 60 s ever see more than the limit.
- A lease holds at most what waits for it or the gateway's part of `LEASE_SHARE` of the limit, so all
  gateways together strand at most that share, and small limits are handed out unit by unit.
- A message that may or may not have arrived is resolved against the caller: refunds are sent at most
  once and charges at least once.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["requests", "tokens"]

WINDOW_S = 60.0
"""Limits are per minute: seconds in which no more than the limit may be spent."""
LEASE_LIFE_S = 1.0
"""Seconds, from when it was asked for, in which a lease may be spent."""
LEASE_SHARE = 0.05
"""Part of a limit that all gateways together may hold unspent."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """When the ledger counted some units, so that a refund uncounts the right ones.

    Attributes:
        epoch: Which life of the ledger; a restarted one has forgotten what earlier ones counted.
        at: The ledger's own clock, in seconds.
    """

    epoch: str
    at: float


@dataclass(frozen=True, slots=True)
class Ask:
    """A wish for units of one kind.

    Attributes:
        need: Fewer than this are of no use.
        want: More than this are not wanted.
        limit: The key's limit in units per minute.
    """

    key_id: str
    kind: Kind
    need: int
    want: int
    limit: int


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer to one `Ask`.

    Attributes:
        granted: Units leased: 0, or `need` to `want`.
        remaining: Units that others could still take now.
        retry_after_s: Seconds until `need` fits; 0 when this ask was not what failed.
        reset_s: Seconds until the whole limit is free again if nobody takes more.
    """

    granted: int
    remaining: int
    retry_after_s: float
    reset_s: float
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Refund:
    """Leased units that were not used."""

    key_id: str
    kind: Kind
    units: int
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Charge:
    """Units that were used beyond what had been leased; may push the count above the limit."""

    key_id: str
    kind: Kind
    units: int
    limit: int


Settlement = Refund | Charge


class LeaseCall(Protocol):
    """The way from a gateway to `Ledger.lease`, normally a remote call."""

    def __call__(
        self, asks: tuple[Ask, ...], settlements: tuple[Settlement, ...], /
    ) -> Awaitable[tuple[Grant, ...]]: ...
