"""The path of a request: route, key, body, limits, replica, relay, account. Read it top to bottom.

Nothing here waits for the disk or, but for a rate limit's next lease, for another process: models,
keys and replicas come from local snapshots.
"""

import asyncio
import contextlib
import hashlib
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator

import orjson

from serve_apps.gateway.account import Account
from serve_apps.gateway.door import Door
from serve_apps.gateway.incoming import Incoming, Receive, Scope, Send
from serve_apps.gateway.outgoing import Outgoing
from serve_apps.gateway.upstream import ReplicaLost, Reply, Upstream
from serve_apps.gateway.waiting import Admission, WaitingRoom
from zoran_ray import wire
from zoran_ray.access import Limits
from zoran_ray.engines.fleet import Fleet
from zoran_ray.errors import (
    DeadlineExceeded,
    MethodNotAllowed,
    RateLimited,
    UpstreamError,
    ZoranError,
)
from zoran_ray.messages import KeyInfo, ModelInfo, ReplicaInfo
from zoran_ray.settings import ServerSettings
from zoran_ray.telemetry import GatewayMetrics, Outcome, Tracing, bind_request_id, outcome_attributes
from zoran_ray.wire import (
    Endpoint,
    RequestBody,
    Usage,
    UsageFilter,
    normalise_upstream,
    normalised,
    parse,
    usage_of,
)

log = logging.getLogger("zoran.gateway")

_TRIES = 3
_SWEEP_S = 1.0

App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Gateway:
    """ASGI application of the public endpoint.

    Args:
        settings: Limits of size, number and time.
        fleet: View of models and replicas, kept fresh by the deployment.
        door: Who may come in.
        limits: Rate limits.
        upstream: Connections to replicas.
        waiting: Where requests wait for a model's first replica.
        pages: Application for everything that is not relayed.
    """

    def __init__(
        self,
        settings: ServerSettings,
        *,
        fleet: Fleet,
        door: Door,
        limits: Limits,
        upstream: Upstream,
        waiting: WaitingRoom,
        metrics: GatewayMetrics,
        tracing: Tracing,
        pages: App,
    ) -> None:
        self._settings = settings
        self._fleet = fleet
        self._door = door
        self._limits = limits
        self._upstream = upstream
        self._waiting = waiting
        self._metrics = metrics
        self._tracing = tracing
        self._pages = pages
        self._admission = Admission(settings.max_inflight)
        self._body_limits = wire.Limits(max_depth=settings.max_json_depth, max_choices=settings.max_choices)
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
                    await outgoing.fail(account.error, endpoint.dialect, account.events)
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
        key = self._door.admit(incoming.headers)
        raw = await incoming.body(
            receive, most=self._settings.max_body_bytes, timeout_s=self._settings.body_timeout_s
        )
        body = parse(raw, endpoint, self._body_limits)
        model = self._fleet.model(body.model)
        account.model = model.name
        self._door.authorize(key, model.name)
        try:
            admission = await self._limits.admit(key, self._estimated_tokens(model, body))
        except RateLimited:
            outgoing.headers += self._limits.headers(key)
            raise
        account.settle = admission.settle
        outgoing.headers += admission.headers
        payload = _payload(body, key)
        account.overhead_s = time.perf_counter() - outgoing.started
        await self._relay(model, body, payload, headers, outgoing, account)

    def _estimated_tokens(self, model: ModelInfo, body: RequestBody) -> int:
        """Tokens to reserve: what was asked for, but not more than the model's context can hold."""
        context = self._fleet.context_tokens(model.name)
        many = isinstance(body.document.get("prompt"), list)
        return (
            body.estimated_tokens if many or not context else min(body.estimated_tokens, context * body.n)
        )

    async def _relay(
        self,
        model: ModelInfo,
        body: RequestBody,
        payload: bytes,
        headers: dict[str, str],
        outgoing: Outgoing,
        account: Account,
    ) -> None:
        """Ask a replica; while nothing has reached the client, a lost one is replaced by another."""
        tried: set[str] = set()
        while True:
            replica = await self._waiting.replica(model, body.affinity, tried)
            account.tries += 1
            self._fleet.begin(replica.replica_id)
            try:
                await self._relay_once(replica, body, payload, headers, outgoing, account)
                return
            except ReplicaLost as lost:
                self._fleet.suspect(replica.replica_id)
                tried.add(replica.replica_id)
                if account.tries >= _TRIES:
                    raise UpstreamError(
                        f"{_TRIES} replicas of '{model.name}' were lost while answering; try again.",
                        retry_after_s=1.0,
                    ) from lost
            finally:
                self._fleet.end(replica.replica_id)

    async def _relay_once(
        self,
        replica: ReplicaInfo,
        body: RequestBody,
        payload: bytes,
        headers: dict[str, str],
        outgoing: Outgoing,
        account: Account,
    ) -> None:
        reply = await self._upstream.open(replica, body.endpoint.path, payload, headers)
        try:
            if reply.streamed:
                await self._relay_stream(reply, body, outgoing, account)
            else:
                await self._relay_whole(reply, body, outgoing, account)
        finally:
            reply.close()

    async def _relay_whole(
        self, reply: Reply, body: RequestBody, outgoing: Outgoing, account: Account
    ) -> None:
        data = await reply.whole()
        if reply.status < 300:
            document = _document(reply, data)
            account.usage = usage_of(document)
            told = normalised(data, document, body.endpoint)
            await outgoing.whole(reply.status, reply.content_type.encode(), told)
            return
        raise normalise_upstream(reply.status, data)

    async def _relay_stream(
        self, reply: Reply, body: RequestBody, outgoing: Outgoing, account: Account
    ) -> None:
        usage = UsageFilter(body.endpoint, drop_usage=body.lacks_usage)
        await outgoing.open_stream()
        try:
            async for chunk in reply.chunks():
                if passed := usage.feed(chunk):
                    await outgoing.chunk(passed)
        finally:
            account.usage = usage.usage or Usage(completion_tokens=usage.events)
            account.events = usage.events
            account.engine_failed = usage.failed
        if not usage.finished and not usage.failed:
            raise UpstreamError("The answer broke off before its end; please send the request again.")
        if rest := usage.flush():
            await outgoing.chunk(rest)
        await outgoing.end_stream()

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


def _document(reply: Reply, data: bytes) -> object:
    """The answer's JSON, None if it is something else (audio, say).

    Raises:
        UpstreamError: It says it is JSON and is not.
    """
    if not reply.content_type.startswith("application/json"):
        return None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        # Without its cause, which carries the whole answer.
        raise UpstreamError("The engine's answer is not valid JSON; try again.") from None


def _payload(body: RequestBody, key: KeyInfo) -> bytes:
    """What the engine gets: the client's own bytes, plus what accounting and the tenants' privacy need."""
    extra = body.usage_options()
    if key.tenant:
        # Without it, time to first token tells a tenant what others have asked (CVE-2025-46570).
        extra["cache_salt"] = hashlib.sha256(key.tenant.encode()).hexdigest()[:32]
    return body.encoded(extra)
