"""A vLLM replica as a Serve deployment: an `EngineServer` given an actor, a heartbeat and a drain."""

import asyncio
import contextlib
import logging
import os
import uuid
from collections.abc import Iterator
from logging.handlers import MemoryHandler
from typing import Any

import ray
from ray import serve

from actors.names import call_registry
from actors.registry import HEARTBEAT_S
from serve_apps.autoscaling import autoscaling_config
from zoran_ray.engines.vllm import EngineServer, require_build
from zoran_ray.errors import ZoranError
from zoran_ray.messages import ReplicaInfo, ReplicaState
from zoran_ray.models_file import ModelSpec
from zoran_ray.settings import ClusterSettings

log = logging.getLogger("zoran.replica")

_LEAVE_GRACE_S = 15.0
_BEAT_S = 1.0
"""Longest wait for the registry to take a heartbeat: half of the silence after which it forgets us."""


class VllmReplica:
    """Loads its model when Serve constructs it and serves it until Serve takes it down.

    Args:
        spec: The model.
        generation: Which deployment of that model this is.
        loopback: Listen on loopback; False where gateways live on other nodes.
    """

    def __init__(self, spec: ModelSpec, generation: str, loopback: bool) -> None:
        self._spec = spec
        self._generation = generation
        self._state: ReplicaState = "ready"
        host = "127.0.0.1" if loopback else ray.util.get_node_ip_address()
        self._engine = EngineServer(spec, host=host)
        self._replica_id = f"{spec.name}-{uuid.uuid4().hex[:8]}"
        self._heart: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._started: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load, listen, and tell the registry. Called by Serve through `check_health` and `reconfigure`."""
        try:
            with _serve_keeps_its_log():
                async with asyncio.timeout(self._spec.load_timeout_s):
                    await self._engine.start()
        except Exception as failure:
            error = failure if isinstance(failure, ZoranError) else ZoranError(str(failure))
            await call_registry("report_failure", self._spec.public_name, self._generation, error)
            # Serve's controller will read it, and must not have to import vLLM for that.
            raise error from None
        self._heart = asyncio.create_task(self._beat())

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Serve calls this before a replica counts as running; the first call loads the model."""
        if self._started is None:
            self._started = asyncio.create_task(self.start())
        await self._started

    def _info(self) -> ReplicaInfo:
        return ReplicaInfo(
            replica_id=self._replica_id,
            model=self._spec.public_name,
            generation=self._generation,
            base_url=self._engine.base_url,
            secret=self._engine.secret,
            capacity=self._engine.capacity,
            max_model_len=self._engine.max_model_len,
            tasks=self._engine.tasks,
            node_id=ray.get_runtime_context().get_node_id(),
            pids=self._pids,
            state="draining" if self._engine.dead else self._state,
            load=self._engine.load(),
        )

    async def _beat(self) -> None:
        """Say where we are and what we carry, until cancelled; a lost registry is simply told again.

        One after the other: while this node is cut off, what was sent waits in Ray and comes all at once.
        """
        self._pids = self._engine.pids()
        while True:
            self._wake.clear()
            with contextlib.suppress(Exception):
                await call_registry("heartbeat", self._info(), timeout_s=_BEAT_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._wake.wait()

    async def check_health(self) -> None:
        """Serve's probe: raises once the engine or its HTTP server is dead."""
        if self._heart is not None:
            await self._engine.check_health()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What the autoscaling policy sees of this replica."""
        load = self._engine.load()
        return {
            "running": float(load.running),
            "waiting": float(load.waiting),
            "kv_usage": load.kv_usage,
            "ttft_s": load.ttft_s,
        }

    async def wake(self) -> None:
        """Nothing: that this call waits for a replica is what brings the first one up."""

    async def __del__(self) -> None:
        """Serve's destructor: leave in order, cutting nobody's stream before the drain's deadline."""
        if self._heart is None:
            await self._engine.stop()
            return
        self._state = "draining"
        self._wake.set()
        if left := await self._engine.drain(self._spec.drain_timeout_s):
            log.warning("%s leaves with %d requests still running", self._replica_id, left)
        self._heart.cancel()
        with contextlib.suppress(Exception):
            await call_registry("leave", self._replica_id)
        await self._engine.stop()


@contextlib.contextmanager
def _serve_keeps_its_log() -> Iterator[None]:
    """vLLM sets up logging with `dictConfig`, which cuts buffering handlers off their files.

    A Serve controller that has restarted asks each replica for its log file, and replaces one that fails
    to answer.
    """
    buffers = [h for h in logging.getLogger("ray.serve").handlers if isinstance(h, MemoryHandler)]
    files = [buffer.target for buffer in buffers]
    try:
        yield
    finally:
        for buffer, file in zip(buffers, files, strict=True):
            buffer.setTarget(file)


def gpus_of(spec: ModelSpec) -> float:
    """GPUs one replica takes."""
    if spec.num_gpus is not None:
        return spec.num_gpus
    if require_build().device == "cpu":
        return 0.0
    sizes = (spec.engine_args.get(n, 1) for n in ("tensor_parallel_size", "pipeline_parallel_size"))
    tensor, pipeline = (int(s) for s in sizes)
    return float(tensor * pipeline)


def replica_app(spec: ModelSpec, generation: str, cluster: ClusterSettings) -> serve.Application:
    """The Serve application that holds the replicas of one generation of one model."""
    scaling = autoscaling_config(
        spec.scaling,
        gpus_of(spec),
        capacity=spec.engine_args.get("max_num_seqs"),
        max_cluster_gpus=cluster.max_gpus,
    )
    deployment = serve.deployment(
        VllmReplica,
        name="replica",
        max_ongoing_requests=1000,
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
        graceful_shutdown_timeout_s=spec.drain_timeout_s + _LEAVE_GRACE_S,
        graceful_shutdown_wait_loop_s=0.1,
        health_check_period_s=1,
        health_check_timeout_s=30,
        user_config={"generation": generation},
        autoscaling_config=scaling,
        ray_actor_options={
            "num_cpus": spec.num_cpus,
            "num_gpus": gpus_of(spec),
            "resources": spec.resources,
            "runtime_env": {
                "env_vars": {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"), **spec.env}
            },
        },
    )
    return deployment.bind(spec, generation, cluster.address is None)
