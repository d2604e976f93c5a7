"""What `/metrics` of any gateway shows: all gateways and all engines, labelled."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

import aiohttp

from actors.names import REGISTRY, call
from zoran_ray.engines.fleet import Fleet
from zoran_ray.engines.vllm.guard import SECRET_HEADER
from zoran_ray.messages import ReplicaInfo
from zoran_ray.telemetry import merge
from zoran_ray.telemetry.names import GATEWAY, MODEL, REPLICA

_SCRAPE_S = 2.0


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
        """Everything there is within two seconds; parts that do not answer are left out."""
        replicas = self._fleet.snapshot.replicas
        peers = asyncio.create_task(_peers())
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SCRAPE_S)) as session:
            engines = await asyncio.gather(*(_engine_text(session, replica) for replica in replicas))
        parts: list[tuple[dict[str, str], str]] = [({GATEWAY: self._id}, self._own())]
        parts += [({GATEWAY: name}, text) for name, text in (await peers).items() if name != self._id]
        parts += [
            ({REPLICA: replica.replica_id, MODEL: replica.model}, text)
            for replica, text in zip(replicas, engines, strict=True)
            if text
        ]
        return merge(parts)


async def _peers() -> Mapping[str, str]:
    with contextlib.suppress(Exception):
        found: Mapping[str, str] = await call(REGISTRY, "gateway_metrics", timeout_s=_SCRAPE_S)
        return found
    return {}


async def _engine_text(session: aiohttp.ClientSession, replica: ReplicaInfo) -> str:
    try:
        headers = {SECRET_HEADER.decode(): replica.secret}
        url = replica.base_url + "/metrics"
        async with session.get(url, headers=headers, allow_redirects=False) as response:
            return await response.text("utf-8", "replace") if response.status == 200 else ""
    except (aiohttp.ClientError, OSError, TimeoutError):
        return ""
