"""`zoran cluster head`, `join` and `environment`: Ray on this node, with the token and what Serve needs.

Nothing is started before everything that can be known to fail was looked at.
"""

import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoran_ray.certificates import require_pair
from zoran_ray.cli.exits import FAILURE
from zoran_ray.cli.head_check import require_fit
from zoran_ray.cli.options import ConfigFile, StateDir, settings
from zoran_ray.cli.output import Progress
from zoran_ray.errors import ConfigError, Unreachable, ZoranError
from zoran_ray.processes import require_free
from zoran_ray.ray_start import (
    GCS_PORT,
    Endpoint,
    NodeSize,
    endpoint,
    head_argv,
    join_argv,
    node_variables,
)

if TYPE_CHECKING:
    from zoran_ray.settings import Settings

TOKEN_FILE = "~/.ray/auth_token"  # noqa: S105 - where Ray looks for it
_STEP_S = 0.2
_LEAVE_S = 60.0
_LOST_S = 5.0

TokenFile = Annotated[Path, typer.Option("--token-file", help="File with the Ray cluster's token.")]
Wait = Annotated[float, typer.Option("--wait", min=1, max=3600, help="Seconds to wait for the head.")]


def join(
    address: Annotated[str, typer.Argument(help="The head, as head.internal:6379.")],
    token_file: TokenFile = Path(TOKEN_FILE),
    wait_s: Wait = 60.0,
    config: ConfigFile = None,
) -> None:
    """Make this machine a worker of a cluster, and stay until it is stopped."""
    head_at = endpoint(address)
    given = settings(config=config)
    token = _token(token_file)
    Progress()("joining", str(head_at))
    await_endpoint(head_at, wait_s)
    require_fit(head_at, node_variables(os.environ, {}, token))
    variables = node_variables(os.environ, _ours(given), token)
    # Ray takes this process over: signals reach it, and its exit status is ours.
    os.execvpe(sys.executable, join_argv(sys.executable, head_at, _size(given)), variables)  # noqa: S606


def head(
    token_file: TokenFile = Path(TOKEN_FILE),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the head's GCS.")] = GCS_PORT,
    redis: Annotated[str | None, typer.Option(help="Redis that the GCS is kept in, as host:6379.")] = None,
    redis_password_file: Annotated[Path | None, typer.Option(help="File with its password.")] = None,
    autoscaling_config: Annotated[Path | None, typer.Option(help="What `ray up` leaves here.")] = None,
    wait_s: Wait = 60.0,
    state_dir: StateDir = None,
    config: ConfigFile = None,
) -> None:
    """Start the head of a cluster that others can join, and `zoran serve` beside it."""
    from zoran_ray.cluster_config.secret_files import secret_in

    given = settings(config=config, state_dir=state_dir)
    token = _token(token_file)
    kept_in = endpoint(redis) if redis else None
    if (kept_in is None) != (redis_password_file is None):
        raise ConfigError("--redis and --redis-password-file belong together: no Redis without a password.")
    scaling = autoscaling_config.expanduser() if autoscaling_config else None
    require_free(given.server.host, given.server.port)
    require_free("0.0.0.0", port)  # noqa: S104 - where Ray's head listens
    argv = head_argv(sys.executable, port, _size(given), scaling)
    if kept_in and redis_password_file:
        await_endpoint(kept_in, wait_s)
        argv.append(f"--redis-password={secret_in(redis_password_file.expanduser())}")
    variables = node_variables(os.environ, _ours(given), token, kept_in)
    serve = [sys.executable, "-m", "zoran_ray.cli", "serve"]
    serve += [f"--state-dir={state_dir}"] if state_dir else []
    serve += [f"--config={config}"] if config else []
    raise typer.Exit(_side_by_side(argv, serve, variables, Endpoint("127.0.0.1", port), wait_s))


def environment(
    run_dir: Annotated[Path, typer.Option("--run-dir", help="Empty folder, only this user's, short path.")],
    config: ConfigFile = None,
) -> None:
    """Print what must be in the environment of a node's Ray where others start it, as KubeRay does."""
    for name, value in sorted(_ours_in(run_dir, settings(config=config)).items()):
        typer.echo(f"export {name}={shlex.quote(value)}")


def await_endpoint(at: Endpoint, wait_s: float) -> None:
    """Return once something listens there.

    Raises:
        Unreachable: Nothing did for `wait_s` seconds; says what to look at.
    """
    until = time.monotonic() + wait_s
    reason = "it took too long"
    while (left := until - time.monotonic()) > 0:
        try:
            socket.create_connection((at.host, at.port), timeout=min(5.0, left)).close()
            return
        except OSError as error:
            reason = error.strerror or str(error)
        time.sleep(min(_STEP_S, max(0.0, left)))
    raise Unreachable(
        f"Nothing answers at {at} ({reason}). Look whether it runs, whether the address is right, and "
        "whether a firewall lets this machine through."
    )


def _side_by_side(
    ray: list[str], serve: list[str], variables: dict[str, str], gcs: Endpoint, wait_s: float
) -> int:
    """Run both until one ends or somebody asks to stop; both end. Returns: exit status."""
    asked: list[int] = []
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda number, frame: asked.append(number))
    processes = [subprocess.Popen(ray, env=variables)]
    try:
        _until_listening(processes[0], gcs, wait_s, asked)
        if not asked:
            # Not "auto": the GCS listens seconds before a node can be found that way, while given its
            # address Ray waits for the node.
            processes.append(subprocess.Popen(serve, env=variables | {"ZORAN_CLUSTER__ADDRESS": str(gcs)}))
        while not asked and all(each.poll() is None for each in processes):
            time.sleep(_STEP_S)
        if asked:
            return 0
        # Who ended without being asked to has failed, whatever its status says.
        status = next(each.returncode for each in processes if each.returncode is not None)
        return status if status > 0 else FAILURE
    finally:
        for each in reversed(processes):
            # A server whose Ray is gone has nothing left to end in order: the next head waits for it.
            gone = each is not processes[0] and processes[0].poll() is not None
            _end(each, _LOST_S if gone else _LEAVE_S)


def _until_listening(
    ray: "subprocess.Popen[bytes]", gcs: Endpoint, wait_s: float, asked: list[int]
) -> None:
    until = time.monotonic() + wait_s
    while not asked:
        if ray.poll() is not None:
            raise ZoranError(f"Ray's head ended with status {ray.returncode}; what it printed says why.")
        try:
            await_endpoint(gcs, 2 * _STEP_S)
            return
        except Unreachable:
            if time.monotonic() > until:
                raise


def _end(process: "subprocess.Popen[bytes]", leave_s: float) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(leave_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _token(path: Path) -> Path:
    from zoran_ray.cluster_config.secret_files import secret_in

    found = path.expanduser().absolute()
    secret_in(found)
    return found


def _ours(given: "Settings") -> dict[str, str]:
    """What `zoran serve` would set for a cluster of its own: here every node needs it."""
    # Sockets are made in it, and their paths may not be long.
    return _ours_in(Path(tempfile.mkdtemp(prefix="zoran-", dir="/tmp")), given)


def _ours_in(run_dir: Path, given: "Settings") -> dict[str, str]:
    from actors.environment import ray_environment, write_haproxy_launcher

    if (server := given.server).tls_cert and server.tls_key:
        require_pair(server.tls_cert, server.tls_key)
    own = {"ZORAN_HAPROXY_BINARY": write_haproxy_launcher(run_dir), "ZORAN_HAPROXY_FAR_GATEWAYS": "1"}
    return ray_environment(given, run_dir) | own


def _size(given: "Settings") -> NodeSize:
    cluster: Any = given.cluster
    return NodeSize(cluster.num_cpus, cluster.num_gpus, cluster.object_store_bytes)
