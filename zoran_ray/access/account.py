"""The limits of one key at one gateway, taken together. Synchronous; knows no transport."""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager

from zoran_ray.access.allowance import Allowance
from zoran_ray.access.leases import Kind, Receipt
from zoran_ray.errors import RateLimited
from zoran_ray.messages import KeyInfo


class Account:
    """All allowances of one key at one gateway: an admission spends from every one or from none.

    Args:
        key: A key with at least one limit.
    """

    def __init__(self, key: KeyInfo) -> None:
        limits: tuple[tuple[Kind, int | None], ...] = (
            ("requests", key.requests_per_min),
            ("tokens", key.tokens_per_min),
        )
        self.allowances = tuple(Allowance(key.key_id, kind, n) for kind, n in limits if n is not None)
        self.renewal: asyncio.Task[None] | None = None
        """The call to the ledger that is under way; everybody who waits waits for it."""
        self.used_at = -math.inf

    def needs(self, estimated_tokens: int) -> tuple[int, ...]:
        """Units of each allowance that one request needs; one token at least, to see a full window.

        Raises:
            RateLimited: More than the limit itself; waiting will not help, so no time to retry is given.
        """
        tokens = max(1, estimated_tokens)
        needs = tuple(1 if a.kind == "requests" else tokens for a in self.allowances)
        for allowance, need in zip(self.allowances, needs, strict=True):
            if need > allowance.limit:
                raise RateLimited(
                    f"This request may use {need} tokens; the key's limit is {allowance.limit} tokens per"
                    " minute. Lower max_tokens or shorten the prompt.",
                    param="max_tokens",
                )
        return needs

    def try_spend(self, now: float, needs: tuple[int, ...]) -> tuple[Receipt, ...] | None:
        """Spends all needs if the leases cover them; None, and nothing spent, if not."""
        pairs = tuple(zip(self.allowances, needs, strict=True))
        if not all(allowance.covers(now, need) for allowance, need in pairs):
            return None
        return tuple(allowance.spend(need) for allowance, need in pairs)

    def raise_if_refused(self, now: float, needs: tuple[int, ...]) -> None:
        """
        Raises:
            RateLimited: The ledger has just refused as much; says when it fits.
        """
        waits = [(a.refused_s(now, n), a) for a, n in zip(self.allowances, needs, strict=True)]
        wait_s, allowance = max(waits, key=lambda wait: wait[0])
        if wait_s > 0:
            raise RateLimited(
                f"Rate limit reached: {allowance.limit} {allowance.kind} per minute for this API key."
                f" Try again in {wait_s:.1f} s.",
                retry_after_s=wait_s,
            )

    @contextmanager
    def waiting(self, needs: tuple[int, ...]) -> Iterator[None]:
        """While inside, the next lease covers these needs too; the last to leave ends the call."""
        for allowance, need in zip(self.allowances, needs, strict=True):
            allowance.waiting += need
        try:
            yield
        finally:
            for allowance, need in zip(self.allowances, needs, strict=True):
                allowance.waiting -= need
            if self.renewal is not None and not self.allowances[0].waiting:
                self.renewal.cancel()
                self.renewal = None
