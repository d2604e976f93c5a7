"""Rate limits as a gateway uses them: one call lets a request in or says when to come back.

Local and synchronous while a lease covers the request, one call to the ledger when not. When the ledger
does not answer in time the request is refused as `Unavailable`: nothing is admitted that nobody counts.
Knows no transport; the way to the ledger comes in through the constructor.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from zoran_ray.access.account import Account
from zoran_ray.access.admission import UNLIMITED, Admission, Headers, rate_limit_headers
from zoran_ray.access.allowance import Allowance
from zoran_ray.access.leases import LEASE_LIFE_S, Ask, Charge, Grant, LeaseCall, Receipt, Refund
from zoran_ray.access.settlements import Settlements
from zoran_ray.errors import Unavailable, ZoranError
from zoran_ray.messages import KeyInfo


class Limits:
    """The limits of all keys at one gateway.

    Args:
        lease: Reaches `Ledger.lease`.
        clock: Seconds, monotonic.
        gateways: How many gateways there are, this one included.
        deadline_s: Longest time an admission may take, in seconds.
        max_accounts: Most keys held at once; the one longest unused goes first.
    """

    def __init__(
        self,
        lease: LeaseCall,
        clock: Callable[[], float],
        gateways: Callable[[], int],
        deadline_s: float = 0.5,
        max_accounts: int = 10_000,
    ) -> None:
        self._lease = lease
        self._clock = clock
        self._gateways = gateways
        self._deadline_s = deadline_s
        self._max_accounts = max_accounts
        self._accounts: OrderedDict[str, Account] = OrderedDict()  # least recently used first
        self._settlements = Settlements()

    async def admit(self, key: KeyInfo, estimated_tokens: int) -> Admission:
        """Counts one request and reserves its tokens.

        Args:
            estimated_tokens: Prompt and most completion tokens; corrected by `Admission.settle`.

        Raises:
            RateLimited: A limit is used up; `retry_after_s` is when this request would fit, None if never.
            Unavailable: The ledger did not answer in time.
        """
        if key.requests_per_min is None and key.tokens_per_min is None:
            return UNLIMITED
        account = self._account(key)
        needs = account.needs(estimated_tokens)
        receipts = account.try_spend(self._clock(), needs)
        if receipts is None:
            receipts = await self._wait(account, needs)
        headers = self._headers(account)
        if key.tokens_per_min is None:
            return Admission(headers)
        settle = partial(self._settle, account.allowances[-1], receipts[-1], needs[-1])
        return Admission(headers, settle)

    def __len__(self) -> int:
        """Keys held."""
        return len(self._accounts)

    def headers(self, key: KeyInfo) -> Headers:
        """The `x-ratelimit-*` headers of a request that was refused."""
        account = self._accounts.get(key.key_id)
        return () if account is None else self._headers(account)

    async def run(self) -> None:
        """Returns what lies idle, every second, until cancelled."""
        while True:
            await asyncio.sleep(LEASE_LIFE_S)
            with suppress(Unavailable):  # the next round tries again
                await self.flush()

    async def flush(self) -> None:
        """Forgets keys not used for a second and settles with the ledger.

        Raises:
            Unavailable: The ledger did not answer in time.
        """
        now = self._clock()
        while self._accounts and now - next(iter(self._accounts.values())).used_at >= LEASE_LIFE_S:
            self._forget_oldest()
        if self._settlements:
            try:
                async with asyncio.timeout(self._deadline_s):
                    await self._call(())
            except ZoranError:
                raise
            except Exception as error:
                raise _unreachable() from error

    async def _wait(self, account: Account, needs: tuple[int, ...]) -> tuple[Receipt, ...]:
        try:
            async with asyncio.timeout(self._deadline_s):
                with account.waiting(needs):
                    while (receipts := account.try_spend(self._clock(), needs)) is None:
                        account.raise_if_refused(self._clock(), needs)
                        # One call for all that wait, and all of them go on at once when it is answered:
                        # a lock would let one in each time the event loop comes round.
                        if account.renewal is None:
                            account.renewal = asyncio.create_task(self._renew(account, needs))
                        await asyncio.shield(account.renewal)
                    return receipts
        except ZoranError:
            raise
        except Exception as error:  # the transport's own, unknown to this room
            raise _unreachable() from error

    async def _renew(self, account: Account, needs: tuple[int, ...]) -> None:
        # All leases in one call, also those that would do: renewed one by one over a slow network,
        # the first could end before the second has come.
        asked = self._clock()
        self._surrender(account)
        gateways = max(1, self._gateways())
        pairs = tuple(zip(account.allowances, needs, strict=True))
        try:
            # A lease whose answer is lost counts as spent.
            async with asyncio.timeout(self._deadline_s):
                grants = await self._call(tuple(allowance.ask(need, gateways) for allowance, need in pairs))
        finally:
            if account.renewal is asyncio.current_task():
                account.renewal = None
        now = self._clock()
        for (allowance, need), grant in zip(pairs, grants, strict=True):
            allowance.absorb(grant, need, asked, now)

    async def _call(self, asks: tuple[Ask, ...]) -> tuple[Grant, ...]:
        settlements = self._settlements.take()
        try:
            return await self._lease(asks, settlements)
        except BaseException:  # cancelled or failed: the same loss
            self._settlements.keep(settlements)
            raise

    def _settle(self, tokens: Allowance, receipt: Receipt, reserved: int, actual: int) -> None:
        if actual < reserved:
            self._settlements.add(Refund(tokens.key_id, tokens.kind, reserved - actual, receipt))
        elif actual > reserved:
            self._settlements.add(Charge(tokens.key_id, tokens.kind, actual - reserved, tokens.limit))

    def _account(self, key: KeyInfo) -> Account:
        account = self._accounts.get(key.key_id)
        if account is None:
            if len(self._accounts) >= self._max_accounts:
                self._forget_oldest()
            account = self._accounts[key.key_id] = Account(key)
        account.used_at = self._clock()
        self._accounts.move_to_end(key.key_id)
        return account

    def _forget_oldest(self) -> None:
        _, account = self._accounts.popitem(last=False)
        self._surrender(account)

    def _surrender(self, account: Account) -> None:
        for allowance in account.allowances:
            if (refund := allowance.surrender()) is not None:
                self._settlements.add(refund)

    def _headers(self, account: Account) -> Headers:
        now = self._clock()
        return tuple(
            header
            for a in account.allowances
            for header in rate_limit_headers(a.kind, a.limit, a.remaining(), a.reset_s(now))
        )


def _unreachable() -> Unavailable:
    return Unavailable("The rate limits could not be checked in time. Try again.", retry_after_s=1.0)
