"""A request to a provider's model: asked once, its answer relayed; and the tries of one request.

Nothing reaches the client before the provider's first good byte, so until then another arm can be asked.
Knows neither who may ask nor what it costs.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import replace

import orjson

from serve_apps.gateway.arms import Arms
from serve_apps.gateway.exchange import Exchange
from serve_apps.gateway.outgoing import Outgoing
from zoran_ray.engines.protocol import EngineReply, EngineRequest
from zoran_ray.engines.retry import DEFAULT_POLICY, RetryPolicy, Tries
from zoran_ray.errors import DeadlineExceeded, Unavailable
from zoran_ray.wire import Endpoint, RequestBody, Usage, UsageFilter

DEADLINE_MARGIN_S = 0.1
"""A provider is given up this long before the request's own time is over: a cancellation from outside would
not be held against it."""

_rng = random.Random()


async def relay(arms: Arms, name: str, exchange: Exchange) -> None:
    """Ask one arm, once, and relay its answer.

    However it ends, `account.usage` is then what this try did use, as the provider counted it, else
    estimated; None if it failed before it could cost anything. A whole answer is in `account.answer`.

    Raises:
        ZoranError: As `Arms.asking` and `EngineReply`. The client has a part if `outgoing.status` is set.
    """
    body, account = exchange.body, exchange.account
    account.usage = None
    deadline = exchange.deadline - DEADLINE_MARGIN_S
    request = EngineRequest(body.endpoint, body.plain, exchange.request_id, deadline)
    async with arms.asking(name, deadline) as engine:
        account.tries += 1
        try:
            reply = await engine.open(request)
        except (asyncio.CancelledError, DeadlineExceeded):
            # The provider has the prompt, and may well charge for it.
            account.usage = Usage(prompt_tokens=body.prompt_tokens)
            raise
        try:
            await (_stream if reply.streamed else _whole)(reply, exchange)
        finally:
            account.usage = _used(reply, body)
            await reply.close()


async def relay_chain(
    arms: Arms,
    names: Iterable[str],
    ask: Callable[[str], Awaitable[None]],
    outgoing: Outgoing,
    *,
    deadline: float,
    usable: Callable[[str], bool] | None = None,
    policy: RetryPolicy = DEFAULT_POLICY,
    rng: random.Random = _rng,
) -> None:
    """Ask one model after the other until one answers or the client has got a part.

    Args:
        names: In order; taken one by one, so that the router can choose late.
        ask: One try of one model, here or at a provider's; `relay` for the latter.
        deadline: When the whole request must be over, in seconds of `time.monotonic`.
        usable: Whether a model is in the choice now; `arms.usable` if not given.

    Raises:
        ZoranError: That of the last try; or why none could be made.
    """
    seen: list[str] = []
    deadline -= DEADLINE_MARGIN_S
    try:
        tries = Tries(_noted(names, seen), deadline, policy=policy, rng=rng, usable=usable or arms.usable)
    except Unavailable:
        raise arms.refusal(seen) from None
    await tries.run(ask, began=lambda: outgoing.status != 0)


def _noted(names: Iterable[str], seen: list[str]) -> Iterator[str]:
    for name in names:
        seen.append(name)
        yield name


async def _whole(reply: EngineReply, exchange: Exchange) -> None:
    data, body, account = await reply.whole(), exchange.body, exchange.account
    account.usage = _used(reply, body)  # its cost is told in a header
    if body.endpoint is not Endpoint.EMBEDDINGS:
        account.answer = orjson.loads(data)
    await exchange.outgoing.whole(200, b"application/json", data)


async def _stream(reply: EngineReply, exchange: Exchange) -> None:
    body, outgoing = exchange.body, exchange.outgoing
    passing = UsageFilter(body.endpoint, drop_usage=body.lacks_usage)
    try:
        async with aclosing(reply.chunks()) as chunks:
            await outgoing.open_stream()
            async for chunk in chunks:
                if passed := passing.feed(chunk):
                    await outgoing.chunk(passed)
    finally:
        exchange.account.events = passing.events
    await outgoing.end_stream()


def _used(reply: EngineReply, body: RequestBody) -> Usage:
    usage = reply.usage
    return usage if usage.prompt_tokens else replace(usage, prompt_tokens=body.prompt_tokens)
