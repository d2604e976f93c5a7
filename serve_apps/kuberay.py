"""What a KubeRay `RayService` deploys: one replica on the head that keeps `zoran serve` running there.

KubeRay knows Serve applications alone. This one is running once the endpoint answers, and unhealthy when
the server is gone; Serve then makes the replica anew. May not know what the server does.
"""

import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import IO, Any

from zoran_ray.errors import ConfigError, ZoranError

CONFIG = "/etc/zoran/zoran.yaml"
"""Where the chart puts the settings."""
READY_S = 1800.0
"""Longest that models may take to load."""
_LEAVE_S = 90.0
_TOLD_BYTES = 2000


class ServerKeeper:
    """Runs a server as a child process.

    Args:
        argv: What to run; prints a line once it answers.
        ready_s: How long that may take, in seconds.

    Raises:
        ConfigError: It ended before it answered; says why, in its own words.
        ZoranError: It did not answer in time.
    """

    def __init__(self, argv: Sequence[str], ready_s: float = READY_S) -> None:
        self._told = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the child
        # Ours knows the cluster by its own address, not as the worker process that we are.
        variables = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        self._process = subprocess.Popen(
            list(argv), stdout=subprocess.PIPE, stderr=self._told, stdin=subprocess.DEVNULL, env=variables
        )
        lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(self._process.stdout, lines), daemon=True).start()
        try:
            line = lines.get(timeout=ready_s)
        except queue.Empty:
            self.stop()
            raise ZoranError(f"The server did not become ready within {ready_s:g} s.") from None
        if not line:
            self.stop()
            raise ConfigError(f"The server ended before it was ready. It said: {self._last_words()}")

    def check_health(self) -> None:
        """Called by Serve. Raises: ZoranError: the server is gone."""
        if (status := self._process.poll()) is not None:
            raise ZoranError(f"The server ended with status {status}. It said: {self._last_words()}")

    def stop(self) -> None:
        """End the server, by force if it does not go."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_LEAVE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def __del__(self) -> None:
        if hasattr(self, "_process"):
            self.stop()
            self._told.close()

    def _last_words(self) -> str:
        self._told.flush()
        size = self._told.seek(0, os.SEEK_END)
        self._told.seek(max(0, size - _TOLD_BYTES))
        return self._told.read().decode(errors="replace").strip() or "nothing"


def _read(stream: IO[bytes], lines: "queue.SimpleQueue[bytes]") -> None:
    """The first line, or nothing when there is none; the rest is read so that the child never blocks."""
    with stream:
        lines.put(stream.readline())
        while stream.read(65536):
            pass


def keeper_app(args: dict[str, Any]) -> Any:
    """The application, as Serve's configuration names it: `serve_apps.kuberay:keeper_app`.

    Args:
        args: `config`: path of the settings, if it is not the chart's.
    """
    from ray import serve

    deployment = serve.deployment(
        ServerKeeper,
        name="server",
        num_replicas=1,
        # Its state is on the head's disk, and so is the control plane.
        ray_actor_options={"num_cpus": 0, "resources": {"node:__internal_head__": 0.001}},
        health_check_period_s=5,
        graceful_shutdown_timeout_s=_LEAVE_S + 10,
    )
    config = str(args.get("config", CONFIG))
    return deployment.bind([sys.executable, "-m", "zoran_ray.cli", "serve", "--json", f"--config={config}"])
