"""A request to a model served here: a replica is chosen and asked, its answer relayed byte for byte.

Knows replicas and their HTTP, not who may ask, what it costs or which model was chosen.
"""

import hashlib
from collections.abc import Mapping

import orjson

from serve_apps.gateway.account import Account
from serve_apps.gateway.outgoing import Outgoing
from serve_apps.gateway.replica_tries import try_replicas
from serve_apps.gateway.upstream import Reply, Upstream
from serve_apps.gateway.waiting import WaitingRoom
from zoran_ray.engines.fleet import Fleet
from zoran_ray.errors import UpstreamError
from zoran_ray.messages import KeyInfo, ModelInfo, ReplicaInfo
from zoran_ray.wire import RequestBody, Usage, UsageFilter, normalise_upstream, normalised, usage_of


class LocalRelay:
    """Asks replicas for one gateway.

    Args:
        fleet: View of models and replicas, kept fresh by the deployment.
        upstream: Connections to replicas.
        waiting: Where requests wait for a model's first replica.
    """

    def __init__(self, fleet: Fleet, upstream: Upstream, waiting: WaitingRoom) -> None:
        self._fleet = fleet
        self._upstream = upstream
        self._waiting = waiting

    async def __call__(
        self,
        model: ModelInfo,
        body: RequestBody,
        payload: bytes,
        headers: dict[str, str],
        outgoing: Outgoing,
        account: Account,
    ) -> None:
        """Ask a replica; while nothing has reached the client, a lost one is replaced by another.

        Raises:
            NoReplica, Overloaded: None takes the request.
            UpstreamError: Replicas were lost, or answered with nonsense.
            RequestError: The engine refuses the request.
        """

        async def ask(replica: ReplicaInfo) -> None:
            account.tries += 1
            await self._ask(replica, body, payload, headers, outgoing, account)

        await try_replicas(self._fleet, self._waiting, model, ask, body.affinity)

    async def _ask(
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
                await _stream(reply, body, outgoing, account)
            else:
                await _whole(reply, body, outgoing, account)
        finally:
            reply.close()


def payload(
    body: RequestBody, key: KeyInfo, model: str | None = None, turn: Mapping[str, int] | None = None
) -> bytes:
    """What the engine gets: the client's own bytes, plus what accounting and the tenants' privacy need.

    Args:
        model: Set where the caller may have named another one, such as `zoran/auto`.
        turn: When the engine shall begin with it, see `turn`.
    """
    extra = body.usage_options()
    if model is not None:
        extra["model"] = model
    return body.encoded(extra | salt(key, body.document.get("cache_salt")) | dict(turn or {}))


def salt(key: KeyInfo, given: object = None) -> dict[str, str]:
    """What keeps a tenant's prefixes apart from those of others in the engine's cache.

    Without it, time to first token tells a tenant what others have asked (CVE-2025-46570).

    Args:
        key: Of a tenant, or of none: then callers may say themselves what they share, among themselves.
        given: The request's own `cache_salt`.
    """
    # No tenant's name begins with a NUL, so a salt that is given is never the one of a tenant.
    of = key.tenant or (f"\0{given}" if type(given) is str and given else "")
    return {"cache_salt": hashlib.sha256(of.encode()).hexdigest()[:32]} if of else {}


async def _whole(reply: Reply, body: RequestBody, outgoing: Outgoing, account: Account) -> None:
    data = await reply.whole()
    if reply.status >= 300:
        raise normalise_upstream(reply.status, data)
    document = _document(reply, data)
    account.usage, account.answer = usage_of(document), document
    await outgoing.whole(
        reply.status, reply.content_type.encode(), normalised(data, document, body.endpoint)
    )


async def _stream(reply: Reply, body: RequestBody, outgoing: Outgoing, account: Account) -> None:
    usage = UsageFilter(body.endpoint, drop_usage=body.lacks_usage)
    await outgoing.open_stream()
    try:
        async for chunk in reply.chunks():
            if passed := usage.feed(chunk):
                await outgoing.chunk(passed)
    finally:
        account.usage = usage.usage or Usage(body.prompt_tokens, usage.events)
        account.events = usage.events
        account.engine_failed = usage.failed
    if not usage.finished and not usage.failed:
        raise UpstreamError("The answer broke off before its end; please send the request again.")
    if rest := usage.flush():
        await outgoing.chunk(rest)
    await outgoing.end_stream()


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
