"""The path of a request: route, key, body, plan, limits, money, replica or provider, account.

Nothing here waits for the disk or for another process, but for a rate limit's next lease and for money set
aside at a model that costs any: models, keys, replicas and what routing has learned are local snapshots.
"""

import asyncio
import contextlib
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from serve_apps.gateway.account import Account
from serve_apps.gateway.arms import Arms
from serve_apps.gateway.door import Door
from serve_apps.gateway.exchange import Exchange
from serve_apps.gateway.incoming import Incoming, Receive, Scope, Send
from serve_apps.gateway.lessons import Lessons
from serve_apps.gateway.local_relay import LocalRelay, payload
from serve_apps.gateway.memory_chat import ChatMemory
from serve_apps.gateway.outgoing import Outgoing
from serve_apps.gateway.price_tag import cost_nano_usd, most_nano_usd
from serve_apps.gateway.privacy_desk import PrivacyDesk
from serve_apps.gateway.provider_relay import relay, relay_chain
from serve_apps.gateway.router import Plan, Router
from serve_apps.gateway.spending import Spending
from serve_apps.gateway.thinking import Thinking
from serve_apps.gateway.told import told
from serve_apps.gateway.turn import turn, turn_headers
from serve_apps.gateway.waiting import Admission
from zoran_ray import wire
from zoran_ray.access import Limits
from zoran_ray.engines.breaker import arms_fault
from zoran_ray.engines.fleet import Fleet
from zoran_ray.errors import DeadlineExceeded, MethodNotAllowed, RateLimited, ZoranError
from zoran_ray.messages import KeyInfo
from zoran_ray.offers import AGENTS
from zoran_ray.settings import ServerSettings
from zoran_ray.telemetry import GatewayMetrics, Outcome, Tracing, bind_request_id, outcome_attributes
from zoran_ray.wire import Endpoint, RequestBody, parse

log = logging.getLogger("zoran.gateway")

_SWEEP_S = 1.0
_LEASE_ROOM_S = 60.0
"""Money stays set aside for this long after the longest a request may take."""

App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Gateway:
    """ASGI application of the public endpoint.

    Args:
        settings: Limits of size, number and time.
        fleet: View of models and replicas, kept fresh by the deployment.
        door: Who may come in.
        limits: Rate limits.
        router: Who answers.
        local: Asks models served here.
        arms: Asks those of providers.
        spending: Money.
        lessons: Told what became of routed requests.
        privacy: Masks what may not be seen.
        pages: Application for everything that is not relayed.
        memory: Reads and writes for conversations that ask for it.
        thinking: Answers where a strategy is asked.
    """

    def __init__(
        self,
        settings: ServerSettings,
        *,
        fleet: Fleet,
        door: Door,
        limits: Limits,
        router: Router,
        local: LocalRelay,
        arms: Arms,
        spending: Spending,
        lessons: Lessons,
        privacy: PrivacyDesk,
        metrics: GatewayMetrics,
        tracing: Tracing,
        pages: App,
        memory: ChatMemory | None = None,
        thinking: Thinking | None = None,
    ) -> None:
        self._settings = settings
        self._fleet = fleet
        self._door = door
        self._limits = limits
        self._router = router
        self._local = local
        self._arms = arms
        self._spending = spending
        self._lessons = lessons
        self._privacy = privacy
        self._metrics = metrics
        self._tracing = tracing
        self._pages = pages
        self._memory = memory
        self._thinking = thinking
        self._admission = Admission(settings.max_inflight)
        self._body_limits = wire.Limits(
            max_depth=settings.max_json_depth, max_choices=settings.max_choices, fetched_for=AGENTS
        )
        self._open: set[Outgoing] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        endpoint = Endpoint.at(scope["path"]) if scope["type"] == "http" else None
        if endpoint is None:
            await self._pages(scope, receive, send)
            return
        incoming = Incoming(scope)
        outgoing = Outgoing(send, incoming)
        if endpoint.dialect == "anthropic":
            # Where Anthropic's clients look for it.
            outgoing.headers.append((b"request-id", incoming.request_id.encode()))
        with bind_request_id(incoming.request_id):
            await self._answer(endpoint, incoming, receive, outgoing)

    async def _answer(
        self, endpoint: Endpoint, incoming: Incoming, receive: Receive, outgoing: Outgoing
    ) -> None:
        """Serve the request; whatever happens, the client is told and the account is kept."""
        account = Account(endpoint)
        self._open.add(outgoing)
        self._metrics.inflight.inc()
        with self._tracing.span(endpoint.path, incoming.trace_context()) as span:
            headers = {**span.headers, "x-request-id": incoming.request_id}
            try:
                with self._reported(account):
                    async with asyncio.timeout(self._settings.request_timeout_s):
                        with self._admission.one():
                            await self._serve(endpoint, incoming, receive, outgoing, account, headers)
                if account.error:
                    await outgoing.fail(account.error, endpoint.dialect, account.events, account.usage)
            except asyncio.CancelledError:
                account.disconnected = True
                raise
            finally:
                self._metrics.inflight.dec()
                self._open.discard(outgoing)
                span.set(outcome_attributes(self._close(account, outgoing)))

    async def _serve(
        self,
        endpoint: Endpoint,
        incoming: Incoming,
        receive: Receive,
        outgoing: Outgoing,
        account: Account,
        headers: dict[str, str],
    ) -> None:
        if incoming.method != endpoint.method:
            raise MethodNotAllowed(f"{endpoint.path} takes {endpoint.method} only.")
        inside = incoming.key_id
        key = self._door.admit(incoming.headers) if inside is None else self._door.known(inside)
        raw = await incoming.body(
            receive, most=self._settings.max_body_bytes, timeout_s=self._settings.body_timeout_s
        )
        body = parse(raw, endpoint, self._body_limits)
        if self._memory is not None:
            body = await self._memory.enrich(body, key, incoming.request_id, outgoing)
        plan = self._router.plan(body, key)
        account.model = plan.alone or ""
        account.route_reason = plan.reason if plan.question else ""
        await self._admit(plan, body, key, outgoing, account)
        timeout_s = self._settings.request_timeout_s
        deadline = time.monotonic() + timeout_s - (time.perf_counter() - outgoing.started)
        with self._spending.tab(key, timeout_s + _LEASE_ROOM_S) as tab:
            exchange = Exchange(
                *(incoming.request_id, key, body, plan, headers, deadline, tab, outgoing, account),
                can_wait=inside is not None or incoming.can_wait,
            )
            outgoing.tell = partial(told, exchange, self._arms.catalogue, self._router.snapshot)
            with self._lessons.of(exchange):
                await self._ask_in_turn(exchange)

    async def _admit(
        self, plan: Plan, body: RequestBody, key: KeyInfo, outgoing: Outgoing, account: Account
    ) -> None:
        """Wait for the rate limits' word."""
        try:
            admission = await self._limits.admit(key, self._estimated_tokens(plan, body))
        except RateLimited:
            outgoing.headers += self._limits.headers(key)
            raise
        account.settle = admission.settle
        outgoing.headers += admission.headers

    def _estimated_tokens(self, plan: Plan, body: RequestBody) -> int:
        """Tokens to reserve: what was asked for, but not more than the model's context can hold."""
        if plan.wish is not None:
            return plan.wish.estimated_tokens(body)
        context = self._fleet.context_tokens(plan.alone) if plan.alone else 0
        many = isinstance(body.document.get("prompt"), list)
        return (
            body.estimated_tokens if many or not context else min(body.estimated_tokens, context * body.n)
        )

    async def _ask_in_turn(self, exchange: Exchange) -> None:
        """Ask who was planned, one after the other while nothing has reached the client."""
        if exchange.plan.wish is not None and self._thinking is not None:
            remote = self._arms.is_remote(exchange.plan.wish.inner)
            async with self._privacy.protected(exchange, remote=remote) as seen:
                await self._thinking(seen, exchange.plan.wish)
            return
        ask = partial(self._ask, exchange)
        if exchange.plan.alone:
            await ask(exchange.plan.alone)
            return
        await relay_chain(
            self._arms,
            exchange.plan.arms,
            ask,
            exchange.outgoing,
            deadline=exchange.deadline,
            usable=self._router.usable,
        )

    async def _ask(self, exchange: Exchange, name: str) -> None:
        """One try of one arm, which sees what the tenant's privacy profile lets it see."""
        async with self._privacy.protected(exchange, remote=self._arms.is_remote(name)) as seen:
            await self._ask_arm(seen, name)

    async def _ask_arm(self, exchange: Exchange, name: str) -> None:
        """One try of one arm: the most it can cost is set aside before, what it did cost settled after."""
        body, account, outgoing = exchange.body, exchange.account, exchange.outgoing
        account.begin(name)
        await exchange.tab.reserve(most_nano_usd(self._arms.catalogue, name, body))
        if account.overhead_s is None:
            account.overhead_s = time.perf_counter() - outgoing.started
        try:
            if self._arms.is_remote(name):
                await relay(self._arms, name, exchange)
            else:
                alone = exchange.plan.alone
                sent = payload(
                    body, exchange.key, None if alone else name, turn(exchange, self._arms.catalogue, name)
                )
                headers = exchange.headers | turn_headers(exchange, self._arms.catalogue, name)
                await self._local(self._fleet.model(name), body, sent, headers, outgoing, account)
        except Exception as error:
            if arms_fault(error):
                account.failed.append(name)
            raise
        finally:
            exchange.tab.settle(cost_nano_usd(self._arms.catalogue, name, account.usage))
            account.cost_nano = exchange.tab.spent_nano

    @contextlib.contextmanager
    def _reported(self, account: Account) -> Iterator[None]:
        """Errors of the path become the account's error."""
        try:
            yield
        except ZoranError as error:
            account.error = error
        except TimeoutError:
            limit = self._settings.request_timeout_s
            account.error = DeadlineExceeded(
                f"The request took longer than {limit:g} s.", retry_after_s=5.0
            )
        except Exception as bug:
            # The message may hold a prompt: only the kind and the place are logged.
            where = "".join(traceback.format_tb(bug.__traceback__))
            log.error("unexpected %s", type(bug).__name__, extra={"traceback": where})
            account.error = ZoranError("The gateway failed. The request id finds it in the log.")

    def _close(self, account: Account, outgoing: Outgoing) -> Outcome:
        account.settle(account.total_tokens)
        if self._memory is not None:
            self._memory.ended(outgoing, account)
        outcome = account.outcome(outgoing)
        self._metrics.observe(outcome)
        return outcome

    async def sweep(self) -> None:
        """Cut clients that do not read their answer; runs until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            horizon = time.monotonic() - self._settings.write_timeout_s
            for outgoing in list(self._open):
                if 0 < outgoing.blocked_since < horizon and outgoing.task:
                    outgoing.task.cancel()
