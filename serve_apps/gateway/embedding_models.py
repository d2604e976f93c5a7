"""Asks a model for vectors: a replica of one served here, or a provider's. Knows no memory.

A provider is paid like for any other request: its price is set aside before and settled after.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from secrets import token_hex

import orjson

from serve_apps.gateway.arms import Arms
from serve_apps.gateway.provider_relay import DEADLINE_MARGIN_S
from serve_apps.gateway.replica_tries import try_replicas
from serve_apps.gateway.spending import Spending, Tab
from serve_apps.gateway.upstream import Upstream
from serve_apps.gateway.waiting import WaitingRoom
from zoran_ray.engines.fleet import Fleet
from zoran_ray.engines.protocol import EngineRequest
from zoran_ray.engines.retry import Tries
from zoran_ray.errors import DeadlineExceeded, ModelNotFound, Unavailable
from zoran_ray.messages import KeyInfo, ModelInfo, ReplicaInfo
from zoran_ray.wire import Endpoint, Usage, normalise_upstream

Mask = Callable[[str, Sequence[str], bool], Awaitable[Sequence[str]]]
"""Takes what a model must not see out of a tenant's texts; told whether it is elsewhere."""

_LEASE_S = 120.0
"""Longer than any call takes."""
_BYTES_PER_TOKEN = 4


class NamedModel:
    """The embedding model of one name, wherever it is served at the moment.

    Args:
        name: Public name.
        fleet: View of models and replicas.
        upstream: Connections to replicas.
        waiting: Where a request waits for a model's first replica.
        arms: Providers' models.
        spending: Money.
        mask: Takes out of texts what a model must not see; None to show them as they are.
    """

    def __init__(
        self,
        name: str,
        *,
        fleet: Fleet,
        upstream: Upstream,
        waiting: WaitingRoom,
        arms: Arms,
        spending: Spending,
        mask: Mask | None = None,
    ) -> None:
        self._name = name
        self._fleet = fleet
        self._upstream = upstream
        self._waiting = waiting
        self._arms = arms
        self._spending = spending
        self._mask = mask

    async def __call__(self, texts: Sequence[str], key: KeyInfo, deadline: float) -> bytes:
        """OpenAI's embeddings answer; see `embedding.Model`."""
        remote = self._arms.is_remote(self._name)
        if self._mask is not None:
            texts = await self._mask(key.tenant, texts, remote)
        if remote:
            return await self._ask_provider(texts, key, deadline)
        try:
            model = self._fleet.model(self._name)
        except ModelNotFound:
            raise Unavailable(
                f"The memory's embedder '{self._name}' is not served here now. Load it with `zoran models"
                " load`, or set memory.embedder to another.",
                param="memory.embedder",
                retry_after_s=5.0,
            ) from None
        return await self._ask_replicas(model, texts)

    async def _ask_replicas(self, model: ModelInfo, texts: Sequence[str]) -> bytes:
        payload = orjson.dumps(
            {
                "model": model.name,
                "input": texts,
                "encoding_format": "base64",
                "truncate_prompt_tokens": -1,  # to what the model can read
                # One of its own: time to the answer tells nobody what others have kept (CVE-2025-46570).
                "cache_salt": token_hex(16),
            }
        )
        return await try_replicas(
            self._fleet, self._waiting, model, partial(self._ask_replica, payload=payload)
        )

    async def _ask_replica(self, replica: ReplicaInfo, payload: bytes) -> bytes:
        headers = {"x-request-id": f"embed-{uuid.uuid4().hex}"}
        reply = await self._upstream.open(replica, Endpoint.EMBEDDINGS.path, payload, headers)
        try:
            data = await reply.whole()
        finally:
            reply.close()
        if reply.status >= 300:
            raise normalise_upstream(reply.status, data)
        return data

    async def _ask_provider(self, texts: Sequence[str], key: KeyInfo, deadline: float) -> bytes:
        deadline -= DEADLINE_MARGIN_S
        with self._spending.tab(key, _LEASE_S) as tab:

            async def ask(name: str) -> bytes:
                return await self._ask_arm(texts, tab, deadline)

            return await Tries((self._name,), deadline, clock=time.monotonic).run(ask, began=lambda: False)

    async def _ask_arm(self, texts: Sequence[str], tab: Tab, deadline: float) -> bytes:
        catalogue, name = self._arms.catalogue, self._name
        size = sum(len(text.encode()) for text in texts)
        await tab.reserve(catalogue.most_nano_usd(name, size, 0))
        sent, used = Usage(size // _BYTES_PER_TOKEN), Usage()
        document = {"model": name, "input": list(texts)}
        request = EngineRequest(Endpoint.EMBEDDINGS, document, f"embed-{uuid.uuid4().hex}", deadline)
        try:
            async with self._arms.asking(name, deadline) as engine:
                try:
                    reply = await engine.open(request)
                except (asyncio.CancelledError, DeadlineExceeded):
                    used = sent  # the provider has the texts, and may well charge for them
                    raise
                try:
                    return await reply.whole()
                finally:
                    used = reply.usage if reply.usage.prompt_tokens else sent
                    await reply.close()
        finally:
            tab.settle(catalogue.cost_nano_usd(name, used))
