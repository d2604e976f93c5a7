"""What one gateway may spend of one limit without asking. Synchronous; knows no transport."""

import math

from zoran_ray.access.leases import LEASE_LIFE_S, LEASE_SHARE, Ask, Grant, Kind, Receipt, Refund

REFUSAL_S = 0.1
"""Longest time a refusal is repeated without asking again, in seconds: a client that hammers at its
limit costs the ledger ten calls a second, not one for each request."""


class Allowance:
    """The current lease of one key and kind, and what the ledger last said about it."""

    def __init__(self, key_id: str, kind: Kind, limit: int) -> None:
        self.key_id = key_id
        self.kind = kind
        self.limit = limit
        self.waiting = 0
        """Units that requests at this gateway wait for."""
        self._left = 0
        self._receipt = Receipt("", 0.0)
        self._lease_ends = -math.inf
        self._remaining = limit
        self._reset_at = -math.inf
        self._refused = 0
        self._refused_until = -math.inf
        self._retry_at = -math.inf

    def covers(self, now: float, n: int) -> bool:
        """Whether `n` units can be spent now."""
        return n <= self._left and now < self._lease_ends

    def spend(self, n: int) -> Receipt:
        """Spends `n` units that are covered; returns which ones, for a refund."""
        self._left -= n
        return self._receipt

    def ask(self, need: int, gateways: int) -> Ask:
        """What to ask the ledger for so that `need` and all that waits can be spent."""
        share = math.floor(self.limit * LEASE_SHARE / gateways)
        return Ask(self.key_id, self.kind, need, max(need, self.waiting, share), self.limit)

    def surrender(self) -> Refund | None:
        """Ends the lease; returns what is left of it, to be refunded."""
        left, self._left = self._left, 0
        return Refund(self.key_id, self.kind, left, self._receipt) if left else None

    def absorb(self, grant: Grant, need: int, asked: float, now: float) -> None:
        """Starts the lease asked for at `asked`, or remembers that `need` was refused."""
        self._left = grant.granted
        self._receipt = grant.receipt
        self._lease_ends = asked + LEASE_LIFE_S
        self._remaining = grant.remaining
        self._reset_at = now + grant.reset_s
        if grant.retry_after_s > 0:
            self._refused = need
            self._retry_at = now + grant.retry_after_s
            self._refused_until = min(self._retry_at, now + REFUSAL_S)

    def refused_s(self, now: float, n: int) -> float:
        """Seconds to wait if the ledger has just refused as little as `n` units, otherwise 0."""
        if now >= self._refused_until or n < self._refused:
            return 0.0
        return self._retry_at - now

    def remaining(self) -> int:
        """Units that this key can still use, here or elsewhere, as far as this gateway knows."""
        return self._remaining + self._left

    def reset_s(self, now: float) -> float:
        """Seconds until the whole limit is free again if nobody takes more."""
        return max(0.0, self._reset_at - now)
