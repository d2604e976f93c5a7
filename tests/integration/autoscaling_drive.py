"""Started by `test_autoscaling_cluster` in a process of its own, because a process has one Ray.

Brings up a cluster of fake nodes with logical GPUs that grows by itself, deploys a plain Serve class
whose load is made up, and prints as JSON how many replicas ran, one number for each change.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import ray
from ray import serve
from ray.cluster_utils import AutoscalingCluster

from serve_apps.autoscaling import autoscaling_config
from zoran_ray.models_file import ScalingSettings

MOST_GPUS = 3
DEADLINE_S = 60.0
QUIET = {"running": 0.0, "waiting": 0.0, "kv_usage": 0.0, "ttft_s": 0.0}
BUSY = {"running": 16.0, "waiting": 40.0, "kv_usage": 0.7, "ttft_s": 0.3}
SCALING = ScalingSettings(
    min_replicas=0,
    initial_replicas=1,
    max_replicas=5,
    upscale_delay_s=1.0,
    downscale_delay_s=2.0,
    zero_delay_s=12.0,
)


class GpuCluster(AutoscalingCluster):  # type: ignore[misc]
    """Ray's own, made fit for a shared machine.

    The original reads an example file that Ray's wheel does not carry, and starts and stops with
    `ray stop --force`, which ends every Ray on the machine.
    """

    def _generate_config(self, head_resources: Any, worker_node_types: Any, **rest: Any) -> dict[str, Any]:
        self._port = _free_port()
        head = {"resources": head_resources, "node_config": {}, "max_workers": 0}
        return {
            "cluster_name": "fake",
            "max_workers": 8,
            "provider": {
                "type": "fake_multinode",
                "gcs_address": f"127.0.0.1:{self._port}",
                "use_node_id_as_ip": True,
                "launch_multiple": True,
                "disable_node_updaters": True,
                "disable_launch_config_check": True,
            },
            "available_node_types": {**worker_node_types, "ray.head.default": head},
            "head_node_type": "ray.head.default",
            "idle_timeout_minutes": 5,
            "upscaling_speed": 100,
            # Fake nodes are set up with nothing, but the autoscaler wants to read that.
            **{key: {} for key in ("auth", "docker", "file_mounts")},
            **{key: [] for key in ("cluster_synced_files", "initialization_commands", "setup_commands")},
            **{key: [] for key in ("head_setup_commands", "worker_setup_commands")},
            **{key: [] for key in ("head_start_ray_commands", "worker_start_ray_commands")},
        }

    def start(self, *_: Any, **__: Any) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="zoran-gpus-", dir="/tmp"))
        config = self._folder / "cluster.json"
        config.write_text(json.dumps(self._config))
        self._head = subprocess.Popen(
            [
                *(str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"),
                *(f"--port={self._port}", f"--temp-dir={self._folder}"),
                *(f"--autoscaling-config={config}", "--include-dashboard=false"),
                *(f"--num-cpus={self._head_resources['CPU']}", "--num-gpus=0"),
                f"--object-store-memory={self._head_resources['object_store_memory']}",
            ],
            env={**os.environ, "RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"},
            stdout=(self._folder / "head.log").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        until("the cluster answers", self._connect)

    def _connect(self) -> bool:
        if self._head.poll() is not None:
            raise RuntimeError((self._folder / "head.log").read_text())
        # Ray prints this when all of it is up; a driver that comes earlier waits for minutes.
        if b"Ray runtime started" not in (self._folder / "head.log").read_bytes():
            return False
        ray.init(address=f"127.0.0.1:{self._port}", log_to_driver=False, logging_level="error")
        return True

    def shutdown(self) -> None:
        """End what this cluster started, known by its session, and nothing else."""
        ray.shutdown()
        for end in (signal.SIGTERM, signal.SIGKILL):
            ours = [psutil.Process(pid) for pid in psutil.pids() if _session(pid) == self._head.pid]
            for process in ours:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(end)
            psutil.wait_procs(ours, timeout=5)
        self._head.wait(5)
        shutil.rmtree(self._folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


@ray.remote(num_cpus=0)
class Dial:
    """What every replica says of itself."""

    def __init__(self) -> None:
        self.load = QUIET

    def turn(self, load: dict[str, float]) -> None:
        self.load = load

    def read(self) -> dict[str, float]:
        return self.load


class Engine:
    def __init__(self) -> None:
        self._dial = ray.get_actor("dial")

    async def record_autoscaling_stats(self) -> dict[str, float]:
        load: dict[str, float] = await self._dial.read.remote()
        return load

    async def __call__(self) -> str:
        return "answered"


@contextlib.contextmanager
def cluster() -> Iterator[None]:
    memory = 80 * 1024 * 1024
    node = {"resources": {"CPU": 1, "GPU": 1, "object_store_memory": memory}, "node_config": {}}
    gpus = GpuCluster(
        head_resources={"CPU": 2, "object_store_memory": memory},
        worker_node_types={"gpu": {**node, "min_workers": 0, "max_workers": MOST_GPUS}},
    )
    try:
        gpus.start()
        yield
    finally:
        gpus.shutdown()


def until(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {DEADLINE_S:g} s: {what}")
        time.sleep(0.1)


class Watch:
    """Writes down every change of the number of running replicas, and the most that were asked for."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.most = 0

    def reached(self, count: int) -> bool:
        app = serve.status().applications.get("app")
        deployment = app.deployments.get("Engine") if app else None
        states = deployment.replica_states if deployment else {}
        running = states.get("RUNNING", 0)
        self.most = max(self.most, running + states.get("STARTING", 0))
        if self.seen[-1:] != [running]:
            self.seen.append(running)
            print(f"{time.monotonic():.1f} s: {running} replicas", file=sys.stderr, flush=True)
        return running == count

    def stays(self, count: int, for_s: float) -> None:
        end = time.monotonic() + for_s
        while time.monotonic() < end:
            if not self.reached(count):
                raise AssertionError(f"{count} replicas became {self.seen[-1]}")
            time.sleep(0.1)


def drive(watch: Watch) -> dict[str, Any]:
    """1 → N under load, as nodes come up; down and to zero when it is quiet; up from zero by a request."""
    dial = Dial.options(name="dial").remote()
    serve.start(proxy_location="Disabled")
    deployment = serve.deployment(
        Engine,
        ray_actor_options={"num_cpus": 0, "num_gpus": 1},
        autoscaling_config=autoscaling_config(SCALING, 1, max_cluster_gpus=MOST_GPUS),
        health_check_period_s=1,
        graceful_shutdown_wait_loop_s=0.1,
    )
    handle = serve.run(deployment.bind(), name="app", route_prefix=None)
    ray.get(dial.turn.remote(BUSY))
    until("all GPUs the cluster can have are used", lambda: watch.reached(MOST_GPUS))
    watch.stays(MOST_GPUS, 4)
    ray.get(dial.turn.remote(QUIET))
    until("one replica is left", lambda: watch.reached(1))
    until("none is left", lambda: watch.reached(0))
    watch.stays(0, 7)
    answer = handle.remote().result(timeout_s=DEADLINE_S)
    until("a request has brought one back", lambda: watch.reached(1))
    return {"seen": watch.seen, "most": watch.most, "answer": answer}


if __name__ == "__main__":
    with cluster():
        print(json.dumps(drive(Watch())))
