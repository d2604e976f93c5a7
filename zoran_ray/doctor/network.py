"""Checks of addresses: the port, what a running server listens on, and Ray's authentication."""

import socket
import stat
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import psutil

from zoran_ray.control import ServerRecord, living, read_record
from zoran_ray.doctor.check import Check, Subject
from zoran_ray.errors import ConfigError

MAX_SHOWN = 8


def port(subject: Subject) -> Check:
    """The port of the endpoint is free, or our own server has it."""
    server = subject.settings.server
    address = f"{server.host}:{server.port}"
    record = _running(subject)
    if record is not None and record.url.endswith(f":{server.port}"):
        return Check("port", "ok", f"{address}, in use by the running server")
    try:
        family, kind, proto, _, target = socket.getaddrinfo(
            server.host, server.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
    except OSError as error:
        return Check(
            "port",
            "fail",
            f"{address}: {error.strerror}",
            "Choose another with --port or --host, or stop who has it.",
        )
    return Check("port", "ok", f"{address} is free")


def addresses(subject: Subject) -> Check:
    """What the running server listens on, beyond this machine above all."""
    record = _running(subject)
    if record is None:
        return Check("addresses", "skip", "no server runs with this state directory")
    listening = sorted(set(_listening(record)))
    outside = [
        f"{host}:{number} ({name})" for name, host, number in listening if not ip_address(host).is_loopback
    ]
    if not outside:
        return Check("addresses", "ok", f"{len(listening)} ports, all on loopback")
    shown = ", ".join(outside[:MAX_SHOWN]) + (
        f" and {len(outside) - MAX_SHOWN} more" if len(outside) > MAX_SHOWN else ""
    )
    return Check(
        "addresses",
        "warn",
        f"reachable from other machines: {shown}",
        "Ray's own ports always are, behind its token: close them with a firewall or a network namespace "
        "(SECURITY.md has recipes).",
    )


def ray_authentication(subject: Subject) -> Check:
    """Whoever reaches a Ray cluster without token authentication runs code in it."""
    if bare := [process.pid for process in _ray_heads() if not _asks_for_token(process)]:
        return Check(
            "ray authentication",
            "fail",
            f"a Ray head without authentication runs here (process {', '.join(map(str, bare))})",
            "Stop it (ray stop), make a token (ray get-auth-token --generate), and start it with "
            "RAY_AUTH_MODE=token ray start --head.",
        )
    if subject.settings.cluster.address is None:
        return Check("ray authentication", "ok", "a local cluster gets a token of its own at every start")
    return _cluster_token(subject)


def _cluster_token(subject: Subject) -> Check:
    """The token of a cluster that somebody else started."""
    token = Path(subject.env.get("RAY_AUTH_TOKEN_PATH") or subject.home / ".ray" / "auth_token")
    if subject.env.get("RAY_AUTH_TOKEN"):
        return Check("ray authentication", "ok", "token in RAY_AUTH_TOKEN")
    if not token.is_file():
        return Check(
            "ray authentication",
            "fail",
            f"no token for the cluster at {subject.settings.cluster.address}",
            f"Put the cluster's token into {token}, or set RAY_AUTH_TOKEN.",
        )
    if stat.S_IMODE(token.stat().st_mode) & 0o077:
        return Check(
            "ray authentication",
            "warn",
            f"other users can read the token {token}",
            f"Run: chmod 600 {token}",
        )
    return Check("ray authentication", "ok", f"token in {token}")


def _ray_heads() -> Iterator[psutil.Process]:
    return (process for process in psutil.process_iter(["name"]) if process.info["name"] == "gcs_server")


def _asks_for_token(process: psutil.Process) -> bool:
    """Whether a Ray head checks tokens; yes for another user's, whose settings we cannot see."""
    try:
        return process.environ().get("RAY_AUTH_MODE") == "token"
    except psutil.Error:
        return True


def _running(subject: Subject) -> ServerRecord | None:
    """The record of the server of this state directory, if that server lives."""
    try:
        record = read_record(subject.settings.state_dir)
    except ConfigError:
        return None
    return record if record is not None and living(record.server) is not None else None


def _listening(record: ServerRecord) -> Iterator[tuple[str, str, int]]:
    """Name, address and port of everything the server's processes listen on."""
    roots = [
        process for each in (record.server, *record.processes) if (process := living(each)) is not None
    ]
    for process in roots:
        try:
            for each in (process, *process.children(recursive=True)):
                name = each.name()
                for connection in each.net_connections(kind="inet"):
                    if connection.status == psutil.CONN_LISTEN:
                        yield name, connection.laddr.ip, connection.laddr.port
        except psutil.Error:
            continue
