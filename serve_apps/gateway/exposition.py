"""What `/metrics` of any gateway shows: all gateways and engines, the control plane's actors, Ray Serve."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from actors.names import AUTOPILOT, BATCH, JOURNAL, MEMORY, REGISTRY, RESONATOR, call
from actors.watched import routing_text
from serve_apps.gateway.ray_metrics import serve_parts
from zoran_ray.engines.fleet import Fleet
from zoran_ray.engines.vllm.guard import SECRET_HEADER
from zoran_ray.messages import ReplicaInfo
from zoran_ray.telemetry import gen_ai_text, merge
from zoran_ray.telemetry.names import ACTOR, GATEWAY, MODEL, REPLICA

_SCRAPE_S = 2.0

Part = tuple[dict[str, str], str | None]
"""Labels of all of its samples, and its text; None where it is silent."""

_ACTORS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    **dict.fromkeys((JOURNAL, MEMORY, BATCH, AUTOPILOT), ("metrics", str)),
    RESONATOR: ("state", routing_text),
}
"""Whom to ask for what, and how its answer becomes text."""


class Exposition:
    """Collects Prometheus text.

    Args:
        gateway_id: This gateway.
        fleet: Where the engines are.
        own: Gives this gateway's own text.
    """

    def __init__(self, gateway_id: str, fleet: Fleet, own: Callable[[], str]) -> None:
        self._id = gateway_id
        self._fleet = fleet
        self._own = own

    async def text(self) -> str:
        """Everything there is; of what is silent for two seconds only that it is."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SCRAPE_S)) as session:
            peers, engines, actors, serve = await asyncio.gather(
                _peers(),
                asyncio.gather(*(_engine(session, each) for each in self._fleet.snapshot.replicas)),
                asyncio.gather(*(_actor(name, *asked) for name, asked in _ACTORS.items())),
                serve_parts(session),
            )
        gateways: list[Part] = [
            ({GATEWAY: name}, text + gen_ai_text(text))
            for name, text in {**(peers or {}), self._id: self._own()}.items()
        ]
        registry: Part = {ACTOR: REGISTRY}, None if peers is None else ""
        return merge([*gateways, *engines, registry, *actors, *serve])


async def _peers() -> Mapping[str, str] | None:
    """What all gateways told the registry last; None where it does not answer."""
    with contextlib.suppress(Exception):
        found: Mapping[str, str] = await call(REGISTRY, "gateway_metrics", timeout_s=_SCRAPE_S)
        return found
    return None


async def _engine(session: aiohttp.ClientSession, replica: ReplicaInfo) -> Part:
    labels = {REPLICA: replica.replica_id, MODEL: replica.model}
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
        headers = {SECRET_HEADER.decode(): replica.secret}
        url = replica.base_url + "/metrics"
        async with session.get(url, headers=headers, allow_redirects=False) as response:
            if response.status == 200:
                return labels, await response.text("utf-8", "replace")
            if response.status == 404:  # a server of others may count nothing
                return labels, ""
    return labels, None


async def _actor(name: str, method: str, text_of: Callable[[Any], str]) -> Part:
    with contextlib.suppress(Exception):  # whatever is wrong with one part hides no other
        return {ACTOR: name}, text_of(await call(name, method, timeout_s=_SCRAPE_S))
    return {ACTOR: name}, None
