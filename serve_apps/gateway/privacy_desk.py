"""What one try may see of a request: by the tenant's profile all of it, a masked body, or nothing.

Of a request to a local model under the mode `remote`, and of any under `off`, no text is looked at. Nothing
is sent before what was taken out of it is in the vault. What is put back into the answer:

- what was taken out of this request;
- the tenant's own placeholders that the request holds, from earlier turns say: whoever may ask for a tenant
  may see the tenant's values;
- for a request that goes on from answers kept elsewhere (`previous_response_id`), all that the vault has
  for the tenant.

A placeholder that an answer brings in by itself stays as it is otherwise.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import orjson

from serve_apps.gateway.exchange import Exchange
from serve_apps.gateway.privacy_answers import Unmasking
from serve_apps.gateway.privacy_shown import Shown
from serve_apps.gateway.privacy_vault import NodeVault
from zoran_ray.errors import ConfigError, InvalidRequest, Overloaded, ZoranError
from zoran_ray.privacy import (
    FORM,
    Finding,
    Lookup,
    Masked,
    Masker,
    Profiles,
    Scanner,
    choose_action,
    readable,
    refuse_findings,
    unmask,
)
from zoran_ray.telemetry import GatewayMetrics
from zoran_ray.wire import RequestBody
from zoran_ray.wire.texts import with_request_changed

LARGE_BYTES = 32 * 1024
"""Bodies from this size on are looked through in a thread."""
MOST_WAITING = 64
"""Large bodies that wait for a thread at once; one more is refused."""
_THREADS = 2
_STATEFUL = ("previous_response_id", "conversation")

T = TypeVar("T")


@dataclass(slots=True)
class _Texts:
    """The texts of one request, masked one after the other."""

    masker: Masker
    findings: list[Finding] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict, repr=False)
    placeholders: set[str] = field(default_factory=set)

    def text(self, text: str) -> str:
        masked = self.masker.mask_json(text)
        if "[" in text:
            self.placeholders.update(FORM.findall(text))
        if not masked.findings:
            return text
        self.findings += masked.findings
        self.values |= masked.values
        return masked.text

    json = text


@dataclass(slots=True)
class _Findings:
    """The findings in the texts of one request, which stay as they are."""

    scanner: Scanner
    findings: list[Finding] = field(default_factory=list)

    def text(self, text: str) -> str:
        self.findings += self.scanner.scan(readable(text))
        return text

    json = text


class PrivacyDesk:
    """Masks requests and unmasks answers for one gateway.

    Args:
        profiles: Who is treated how.
        vault: Where values are kept.
        metrics: Counts what was masked, by kind.
    """

    def __init__(self, profiles: Profiles, vault: NodeVault, metrics: GatewayMetrics) -> None:
        self._profiles = profiles
        self._vault = vault
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="privacy")
        self._waiting = 0

    @asynccontextmanager
    async def protected(self, exchange: Exchange, *, remote: bool) -> AsyncIterator[Exchange]:
        """The exchange as one try may see it; the answer given meanwhile is unmasked.

        Args:
            remote: Whether the request would leave this deployment.

        Raises:
            PermissionDenied: The profile refuses requests with personal data, and this one has some.
            Unavailable: It could not be masked, so it must not be sent.
        """
        profile = self._profiles.of(exchange.key.tenant)
        action = choose_action(profile.mode, remote)
        if action == "pass":
            yield exchange
            return
        if action == "refuse":
            await self._refuse(exchange, profile.scanner)
            yield exchange
            return
        shown = await self._shown(exchange, profile.scanner)
        # What tools show a strategy later may have to be put back too.
        if shown.body is exchange.body and not shown.known and exchange.plan.wish is None:
            yield exchange
            return
        with_body = replace(exchange, body=shown.body)
        async with self._put_back(exchange, shown):
            yield with_body

    def passes(self, tenant: str, remote: bool) -> bool:
        """Whether a tenant's requests go out as they are; `remote` as for `protected`."""
        return choose_action(self._profiles.of(tenant).mode, remote) == "pass"

    async def joins(self, exchange: Exchange, text: str, *, remote: bool) -> str:
        """A text that joins a request under way, such as what a tool showed, as the profile shows it.

        What is masked is put back into the answer like the rest.

        Args:
            exchange: As `protected` gave it.
            remote: As there.

        Raises:
            PermissionDenied, Unavailable: As there.
        """
        tenant = exchange.key.tenant
        profile = self._profiles.of(tenant)
        action = choose_action(profile.mode, remote)
        if action == "pass":
            return text
        if action == "refuse":
            refuse_findings(await self._off_loop(len(text), lambda: profile.scanner.scan(readable(text))))
            return text
        masker = Masker(profile.scanner, await self._vault.naming_key(), tenant)
        masked = await self._off_loop(len(text), partial(masker.mask, text))
        await self._vault.put(tenant, masked.values)
        self._count(masked.findings)
        for shown in exchange.shown:
            shown.known.update(masked.values)
        return masked.text

    async def mask(self, tenant: str, text: str, kinds: Collection[str] | None = None) -> Masked:
        """One text masked for a tenant; what it stands for is in the vault.

        Raises:
            InvalidRequest: A kind is unknown.
            Unavailable: The vault cannot be used.
        """
        try:
            scanner = self._profiles.of(tenant).scanner_for(kinds)
        except ConfigError as error:
            raise InvalidRequest(error.message, param="kinds") from None
        masker = Masker(scanner, await self._vault.naming_key(), tenant)
        masked = await self._off_loop(len(text), partial(masker.mask, text))
        await self._vault.put(tenant, masked.values)
        self._count(masked.findings)
        return masked

    async def shown_for_good(self, tenant: str, texts: Sequence[str], remote: bool) -> Sequence[str]:
        """Texts for a model that gives no text back: masked where the profile says so, nothing is kept.

        Args:
            remote: Whether they leave this deployment.

        Raises:
            Unavailable: They cannot be masked, so they must not be sent.
        """
        profile = self._profiles.of(tenant)
        if choose_action(profile.mode, remote) == "pass":
            return texts
        masker = Masker(profile.scanner, await self._vault.naming_key(), tenant)
        return await self._off_loop(
            sum(map(len, texts)), lambda: [masker.mask(text).text for text in texts]
        )

    async def unmask(self, tenant: str, text: str) -> tuple[str, Counter[str]]:
        """A text with the values of a tenant's placeholders, and how often each of them was put in.

        Raises:
            Unavailable: The vault cannot be used.
        """
        names = Counter(FORM.findall(text))
        known = await self._vault.get(tenant, names)
        return unmask(text, known.get), Counter({name: names[name] for name in names if name in known})

    def close(self) -> None:
        """Lets go of threads and vault."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._vault.close()

    async def _refuse(self, exchange: Exchange, scanner: Scanner) -> None:
        if not exchange.shown:
            body, found = exchange.body, _Findings(scanner)
            await self._off_loop(len(body.raw), lambda: with_request_changed(body.document, found))
            refuse_findings(found.findings)
            exchange.shown.append(Shown(body))

    async def _shown(self, exchange: Exchange, scanner: Scanner) -> Shown:
        """The same for every try of one exchange, so it is found out once."""
        if not exchange.shown:
            tenant, body = exchange.key.tenant, exchange.body
            texts = _Texts(Masker(scanner, await self._vault.naming_key(), tenant))
            masked = await self._off_loop(len(body.raw), lambda: _masked(body, texts))
            await self._vault.put(tenant, texts.values)
            earlier = await self._vault.get(tenant, texts.placeholders - texts.values.keys())
            self._count(texts.findings)
            exchange.shown.append(Shown(masked, len(texts.findings), earlier | texts.values))
        return exchange.shown[0]

    @asynccontextmanager
    async def _put_back(self, exchange: Exchange, shown: Shown) -> AsyncIterator[None]:
        outgoing, account = exchange.outgoing, exchange.account
        lookup: Lookup = shown.known.get
        stateful = any(exchange.body.document.get(name) for name in _STATEFUL)
        if stateful:
            lookup = self._also_from_vault(exchange.key.tenant, lookup)
        unmasking = Unmasking(exchange.body, lookup, shown.masked, stateful, account)
        outgoing.rewriting = unmasking
        try:
            yield
        except ZoranError:
            outgoing.rewriting = None
            if outgoing.status and (rest := await unmasking.rest()):
                await outgoing.chunk(rest)
            account.events += unmasking.added
            raise
        finally:
            outgoing.rewriting = None

    def _also_from_vault(self, tenant: str, known: Lookup) -> Lookup:
        def lookup(placeholder: str) -> str | None:
            value = known(placeholder)
            return self._vault.value(tenant, placeholder) if value is None else value

        return lookup

    async def _off_loop(self, size: int, step: Callable[[], T]) -> T:
        if size < LARGE_BYTES:
            return step()
        if self._waiting >= MOST_WAITING:
            raise Overloaded("Too many large requests wait to be masked; try again.", retry_after_s=1.0)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, step)
        finally:
            self._waiting -= 1

    def _count(self, findings: Collection[Finding]) -> None:
        for kind, count in Counter(finding.kind for finding in findings).items():
            self._metrics.observe_masked(kind, count)


def _masked(body: RequestBody, texts: _Texts) -> RequestBody:
    document: dict[str, Any] = with_request_changed(body.document, texts)
    if document is body.document:
        return body
    return replace(body, raw=orjson.dumps(document), document=document)
