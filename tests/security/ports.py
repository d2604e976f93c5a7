"""Every port that a server on one machine listens on, and what it says to somebody who may not use it.

SECURITY.md shows this list as a table; `test_security_md.py` sees to it that both are the same.
"""

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

import httpx
import psutil

from tests.integration.stack import Stack, title_of

Try = Callable[[str, int, Stack], None]
"""Asks without and with a wrong credential; fails where either is let in. Gets address, port and server."""
_ANSWER_S = 10.0
_NUMBER = re.compile(r"#.*|[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? [-+0-9.eEInNaf]+( [0-9]+)?|")
"""A line of Prometheus's format."""


@dataclass(frozen=True)
class Port:
    """A row of the table.

    Attributes:
        process: What is in the title of the process that listens.
        binds: Where it listens: `server.host`, `loopback`, `this node` or `all interfaces`.
        what: What is spoken there.
        who: Who may reach it.
        authenticated: How whoever reaches it is known.
        refuses: Each way it refuses strangers; one of them must hold for a socket.
    """

    process: str
    binds: str
    what: str
    who: str
    authenticated: str
    refuses: tuple[Try, ...]

    def row(self) -> str:
        """As in SECURITY.md."""
        return f"| `{self.process}` | {self.binds} | {self.what} | {self.who} | {self.authenticated} |"


def table(ports: tuple[Port, ...]) -> str:
    """All of it, in Markdown."""
    head = "| process | listens on | what | who may reach it | how it is authenticated |"
    return "\n".join((head, "|---|---|---|---|---|", *(port.row() for port in ports)))


@dataclass(frozen=True)
class Socket:
    """Something that listens."""

    title: str
    host: str
    port: int

    @property
    def binds(self) -> str:
        """Who can reach it."""
        address = ip_address(self.host)
        if address.is_unspecified:
            return "all interfaces"
        return "loopback" if address.is_loopback else "this node"


def listening(stack: Stack) -> Iterator[Socket]:
    """Every TCP socket that listens and every UDP socket that is bound, of all its processes."""
    for process in stack.processes():
        title, connections = title_of(process), []
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            connections = process.net_connections(kind="inet")
        for found in connections:
            if found.status == psutil.CONN_LISTEN or (found.laddr and not found.raddr and found.type == 2):
                yield Socket(title, found.laddr.ip, found.laddr.port)


def rows_of(socket: Socket, ports: tuple[Port, ...]) -> list[Port]:
    """The rows that know this socket."""
    program = socket.title.split(" --")[0]
    binds = {socket.binds, *(["server.host"] if "haproxy" in program else [])}
    return [port for port in ports if port.process in program and port.binds in binds]


# -- how strangers are refused ------------------------------------------------------------------------


def refuses_key(address: str, port: int, stack: Stack) -> None:
    """The endpoint, directly or by a way round: every route that is not open wants an API key."""
    scheme = "https" if stack.base_url.startswith("https") and port == stack.port else "http"
    with httpx.Client(base_url=f"{scheme}://{address}:{port}", verify=False, trust_env=False) as asking:
        for headers in ({}, {"authorization": "Bearer zk-wrong"}, {"authorization": "Basic eDp5"}):
            for path in ("/v1/models", "/metrics", "/v1/journal/head"):
                answer = asking.get(path, headers=headers, timeout=_ANSWER_S)
                assert answer.status_code == 401, (address, port, path, answer.status_code)


def leads_nowhere(address: str, port: int, stack: Stack) -> None:
    """The HTTP server that Serve gives every replica: an engine's has no entry to call behind it."""
    with httpx.Client(base_url=f"http://{address}:{port}", trust_env=False, timeout=_ANSWER_S) as asking:
        for method, path in (("GET", "/"), ("POST", "/v1/chat/completions"), ("GET", "/metrics")):
            answer = asking.request(method, path, content=b"{}")
            assert answer.status_code >= 400, (address, port, path, answer.status_code)
        told = asking.get("/-/routes")
        assert "secret" not in told.text


def refuses_secret(address: str, port: int, stack: Stack) -> None:
    """An engine's own server: nothing at all without its secret."""
    with httpx.Client(base_url=f"http://{address}:{port}", trust_env=False) as asking:
        for headers in ({}, {"x-zoran-replica-secret": "wrong"}):
            for path in ("/health", "/v1/models", "/metrics"):
                answer = asking.get(path, headers=headers, timeout=_ANSWER_S)
                assert answer.status_code == 401, (address, port, path, answer.status_code)


_METHODS = (
    "/ray.rpc.InternalKVGcsService/InternalKVGet",
    "/ray.rpc.NodeManagerService/GetNodeStats",
    "/ray.rpc.ObjectManagerService/Pull",
    "/ray.rpc.CoreWorkerService/PushTask",
    "/ray.rpc.ReporterService/GetTraceback",
    "/ray.serve.ASGIService/HandleRequest",
)


AGENT_ROUTES = (
    ("GET", "/"),
    ("POST", "/api/jobs/"),  # CVE-2023-48022, CVE-2025-62593
    ("POST", "/api/job_agent/jobs/"),
    ("GET", "/log_proxy?url=http://169.254.169.254/"),  # CVE-2023-48023
    ("DELETE", "/api/serve/applications/"),  # CVE-2026-27482
    ("DELETE", "/api/jobs/raysubmit_x"),
    ("POST", "/get_or_create_runtime_env"),
)
"""What holes of Ray's dashboard and agents were about."""


def refuses_grpc(address: str, port: int, stack: Stack) -> None:
    """Ray's own protocol: each method it has is refused, and it has at least one."""
    import grpc

    said = set()
    with grpc.insecure_channel(f"{address}:{port}") as channel:
        for metadata in ((), (("authorization", "Bearer wrong"),)):
            for method in _METHODS:
                call = channel.unary_unary(method)
                try:
                    call(b"", timeout=_ANSWER_S, metadata=metadata)
                    raise AssertionError(f"{address}:{port} let {method} in")
                except grpc.RpcError as error:
                    said.add(error.code())
    assert grpc.StatusCode.UNAUTHENTICATED in said, (address, port, said)
    assert said <= {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED}, (address, port, said)


def refuses_http_token(address: str, port: int, stack: Stack) -> None:
    """Ray's agents over HTTP, whatever is asked and whoever it seems to come from."""
    browser = {
        "user-agent": "Other/1.0",
        "sec-fetch-site": "same-origin",
        "host": f"rebound.example:{port}",
    }
    with httpx.Client(base_url=f"http://{address}:{port}", trust_env=False, timeout=_ANSWER_S) as asking:
        for headers, wanted in (({}, 401), (browser, 401), ({"authorization": "Bearer wrong"}, 403)):
            for method, path in AGENT_ROUTES:
                answer = asking.request(method, path, headers=headers, content=b"{}")
                assert answer.status_code == wanted, (address, port, method, path, answer.status_code)


def shows_numbers_alone(address: str, port: int, stack: Stack) -> None:
    """Nobody is refused; there is nothing but metrics of Ray."""
    with httpx.Client(base_url=f"http://{address}:{port}", trust_env=False) as asking:
        answer = asking.get("/metrics", timeout=_ANSWER_S)
    assert answer.status_code == 200
    assert "text/plain" in answer.headers["content-type"]
    strange = [line for line in answer.text.splitlines() if not _NUMBER.fullmatch(line)]
    assert not strange, strange[:5]


def is_not_http(address: str, port: int, stack: Stack) -> None:
    """Torch's own protocols among an engine's processes: no authentication, and no HTTP."""
    with httpx.Client(base_url=f"http://{address}:{port}", trust_env=False, timeout=2) as asking:
        try:
            asking.get("/")
        except httpx.TransportError:
            return
    raise AssertionError(f"{address}:{port} speaks HTTP")


NODES = "nodes of the cluster; close it to others"
TOKEN = "Ray's token"

ONE_MACHINE = (
    Port("haproxy", "server.host", "the endpoint", "its callers", "API key, once there is one; TLS if set",
         (refuses_key,)),
    Port("ray::ServeReplica:gateway", "loopback", "the gateway behind it", "this machine", "API key",
         (refuses_key,)),
    Port("ray::ProxyActor", "loopback", "Serve's fallback to the gateway", "this machine", "API key",
         (refuses_key,)),
    Port("ray::ServeReplica:model", "loopback", "an engine's HTTP server; Serve's own, which is empty",
         "this machine", "secret of the replica", (refuses_secret, leads_nowhere)),
    Port("VLLM::", "loopback", "torch's rendezvous of an engine's processes", "this machine", "none",
         (is_not_http,)),
    Port("gcs_server", "all interfaces", "Ray's GCS", NODES, TOKEN, (refuses_grpc,)),
    Port("raylet", "all interfaces", "Ray's node and object managers", NODES, TOKEN, (refuses_grpc,)),
    Port("ray::", "all interfaces", "Ray's workers and Serve's replicas", NODES, TOKEN,
         (refuses_grpc,)),
    Port("zoran serve", "all interfaces", "Ray's driver", NODES, TOKEN, (refuses_grpc,)),
    Port("ray::DashboardAgent", "loopback", "Ray's agent", "this machine", TOKEN, (refuses_http_token,)),
    Port("ray::DashboardAgent", "this node", "Ray's agent", NODES, TOKEN, (refuses_http_token,)),
    Port("ray::RuntimeEnvAgent", "this node", "Ray's agent", NODES, TOKEN, (refuses_http_token,)),
    Port("ray::DashboardAgent", "all interfaces", "metrics of Ray", NODES, "none: numbers",
         (shows_numbers_alone,)),
    Port("monitor.py", "all interfaces", "metrics of Ray's autoscaler (44217)", NODES, "none: numbers",
         (shows_numbers_alone,)),
    Port("dashboard.py", "all interfaces", "metrics of Ray's dashboard (44227)", NODES, "none: numbers",
         (shows_numbers_alone,)),
)  # fmt: skip
"""The table."""


def check(stack: Stack, *, keys: bool = True) -> Counter[str]:
    """Try every socket of a server.

    Args:
        keys: Whether it has API keys; without, its endpoint is open and must be on loopback.

    Returns:
        Sockets of each row, by the row's process.

    Raises:
        AssertionError: One is in no row, listens where the row does not say, or lets a stranger in.
    """
    seen: Counter[str] = Counter()
    for socket in listening(stack):
        rows = rows_of(socket, ONE_MACHINE)
        assert rows, f"no row of the table knows {socket}"
        reachable = "127.0.0.1" if socket.binds == "all interfaces" else socket.host
        if keys or refuses_key not in rows[0].refuses:
            _refused(rows, reachable, socket, stack)
        else:
            assert socket.binds == "loopback", socket
        seen[rows[0].process] += 1
    return seen


def _refused(rows: list[Port], address: str, socket: Socket, stack: Stack) -> None:
    """One of the ways in which the rows say that it refuses must hold."""
    told = []
    for refuses in (each for row in rows for each in row.refuses):
        try:
            return refuses(address, socket.port, stack)
        except (AssertionError, httpx.HTTPError) as error:  # the row may know another way
            told.append(f"{refuses.__name__}: {type(error).__name__} {error}")
    raise AssertionError(f"{socket} lets strangers in, or is another thing than the table says: {told}")
