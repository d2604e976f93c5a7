"""What Ray tells of Serve: of the many families of each node's metrics agent the few that say how it is.

Knows Ray's list of nodes and its text, nothing of ours.

Source: https://docs.ray.io/en/latest/serve/monitoring.html (names), ray.nodes() (ports)
"""

import asyncio
import contextlib
import re
from collections.abc import Iterator
from typing import Any

import aiohttp
import ray

from actors.single_flight import SingleFlight
from zoran_ray.telemetry.names import RAY_NODE

FAMILIES = (
    "ray_serve_application_status",
    "ray_serve_autoscaling_desired_replicas",
    "ray_serve_autoscaling_target_replicas",
    "ray_serve_deployment_error_counter_total",
    "ray_serve_deployment_queued_queries",
    "ray_serve_deployment_replica_healthy",
    "ray_serve_deployment_replica_starts_total",
    "ray_serve_deployment_request_counter_total",
    "ray_serve_deployment_status",
    "ray_serve_health_check_failures_total",
    "ray_serve_proxy_status",
    "ray_serve_replica_processing_queries",
)
"""Gauges and counters; of histograms Ray keeps one for each replica and route."""

_NODES = SingleFlight(ray.nodes)
"""Each scrape of a gateway whose GCS is away would otherwise leave a thread behind."""

_OURS = re.compile(rf"(?:# (?:HELP|TYPE) )?(?:{'|'.join(FAMILIES)})[ {{]")


async def serve_parts(
    session: aiohttp.ClientSession, nodes: SingleFlight[list[dict[str, Any]]] = _NODES
) -> list[tuple[dict[str, str], str | None]]:
    """A part of the exposition for each node that is there; none where Ray does not say which are.

    Args:
        session: Its timeout is that of each question.
        nodes: Lists Ray's nodes.
    """
    found: list[dict[str, Any]] = []
    with contextlib.suppress(Exception):
        async with asyncio.timeout(session.timeout.total):
            found = await nodes.answer()
    return await asyncio.gather(*(_part(session, each) for each in found if each["Alive"]))


async def _part(session: aiohttp.ClientSession, node: dict[str, Any]) -> tuple[dict[str, str], str | None]:
    labels = {RAY_NODE: node["NodeName"]}
    host, port = node["NodeManagerAddress"], node["MetricsExportPort"]
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
        async with session.get(f"http://{host}:{port}/metrics", allow_redirects=False) as response:
            if response.status == 200:
                return labels, "\n".join(_kept(await response.text("utf-8", "replace")))
    return labels, None


def _kept(text: str) -> Iterator[str]:
    return (line for line in text.split("\n") if _OURS.match(line))
