"""One actor on each node with Docker that removes what this deployment's jobs left behind there."""

import asyncio
import time
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from zoran_ray.errors import SandboxUnavailable
from zoran_ray.sandbox import Backend, reap

EVERY_S = 10.0


class SandboxReaper:
    """Reaps every few seconds for as long as it lives.

    Args:
        backend: Whose containers, on which daemon.
        every_s: Pause between two looks, in seconds.
    """

    def __init__(self, backend: Backend, every_s: float = EVERY_S) -> None:
        self._backend = backend
        self._every_s = every_s
        self._removed = 0

    async def watch(self) -> None:
        """Never returns."""
        while True:
            await self.look()
            await asyncio.sleep(self._every_s)

    async def look(self) -> int:
        """Reap once. Returns: How many containers were removed since the start."""
        try:
            jobs = await asyncio.to_thread(reap, self._backend.host, self._backend.deployment, time.time())
            self._removed += len(jobs)
        except SandboxUnavailable:
            pass  # no daemon, no container; it is looked for again
        return self._removed


class Reapers:
    """Keeps one reaper on each node that has slots; they live as long as this does.

    Args:
        backend: As for `SandboxReaper`.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._by_node: dict[str, Any] = {}

    def ensure(self, resource: str) -> None:
        """Start those that are missing, forget those whose node is gone; waits for none.

        Args:
            resource: What a node with Docker has.
        """
        nodes = {
            node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get(resource)
        }
        for gone in self._by_node.keys() - nodes:
            del self._by_node[gone]
        for node in nodes - self._by_node.keys():
            self._by_node[node] = self._start(node)

    def _start(self, node: str) -> Any:
        actor = (
            ray.remote(SandboxReaper)
            .options(
                num_cpus=0,
                max_restarts=-1,
                max_task_retries=-1,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=node, soft=False),
            )
            .remote(self._backend)
        )
        actor.watch.remote()
        return actor

    async def removed(self) -> int:
        """How many containers all of them removed, as far as they answer."""
        counts = []
        for actor in self._by_node.values():
            try:
                counts.append(await asyncio.wait_for(actor.look.remote(), EVERY_S))
            except (TimeoutError, RayError):
                continue
        return sum(counts)
