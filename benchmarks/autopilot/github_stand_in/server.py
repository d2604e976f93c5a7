"""The stand-in's HTTP: one address for API and git, tokens, faults, and the check of every answer."""

import base64
import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from benchmarks.autopilot.github_stand_in.api import answer, failed
from benchmarks.autopilot.github_stand_in.contract import contract, described
from benchmarks.autopilot.github_stand_in.faults import Fault, Moment, Reply, Seen
from benchmarks.autopilot.github_stand_in.git_http import GIT_PATH, backend
from benchmarks.autopilot.github_stand_in.hub import Hub
from benchmarks.autopilot.github_stand_in.records import User

API = "/api/v3"
_LIMITS = {
    "x-ratelimit-limit": "5000",
    "x-ratelimit-remaining": "4999",
    "x-ratelimit-reset": "4102444800",
}


class Cut(Exception):
    """The connection ends without an answer."""


class StandIn(Hub):
    """The server, from `with` to its end.

    Attributes:
        seen: Requests in the order in which they came.
        violations: Where a request or an answer was not as GitHub describes it; empty where the description
            is not there (`described()`).
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.seen: list[Seen] = []
        self.violations: list[str] = []
        self.faults: list[Fault] = []
        self.lock = threading.RLock()
        self._released = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def host(self) -> str:
        """Name and port."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def api_urls(self) -> dict[str, str]:
        """As `forge_of` takes them."""
        return {self.host: f"http://{self.host}{API}"}

    def remote(self, full_name: str) -> str:
        """A repository's address for git."""
        return f"http://{self.host}/{full_name}.git"

    def fault(
        self, method: str | None, path: str, moment: Moment, act: Callable[[], Reply | None], nth: int = 1
    ) -> None:
        """Something that goes wrong once. Args: path: A pattern."""
        self.faults.append(Fault(path, moment, act, method, nth))

    def hang(self) -> None:
        """An act for `fault`: no answer until the server ends."""
        self._released.wait()

    def __enter__(self) -> "StandIn":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def note(self, method: str, path: str) -> Seen:
        """A request that came."""
        with self.lock:
            self.seen.append(Seen(len(self.seen) + 1, method, path))
            return self.seen[-1]

    def strike(self, seen: Seen, moment: Moment) -> Reply | None:
        """What a fault makes of a request; None where there is none. Raises: Cut."""
        with self.lock:
            struck = [fault for fault in self.faults if fault.strikes(seen, moment)]
        for fault in struck:
            reply = fault.act()
            if reply is None:
                raise Cut
            return reply
        return None

    def user_of(self, authorization: str) -> User | None:
        """Whose token a header holds: `token …`, `Bearer …`, or `Basic …` with it as password."""
        kind, _, value = authorization.partition(" ")
        if kind.lower() == "basic":
            value = base64.b64decode(value).decode().partition(":")[2]
        return self.tokens.get(value)

    def api(self, user: User | None, method: str, target: str, body: bytes) -> Reply:
        """The answer of the API, held against the description."""
        if user is None:
            return failed(401, "Bad credentials")
        parts = urlsplit(target)
        path, query = unquote(parts.path), dict(parse_qsl(parts.query))
        try:
            asked = json.loads(body) if body else None
        except ValueError:
            return failed(400, "Problems parsing JSON")
        with self.lock:
            if described() and (faults := contract().request_faults(method, path, asked)):
                self.violations += faults
                return failed(422, "Validation Failed", {"code": "invalid", "message": faults[0]})
            reply = answer(self, f"http://{self.host}", user, method, path, query, asked)
            if described():
                self.violations += contract().answer_faults(method, path, reply.status, reply.body)
        return reply


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, stand_in: StandIn) -> None:
        self.stand_in = stand_in
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is nobody's fault here."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 60
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def _serve(self) -> None:
        stand_in, body = self.server.stand_in, self._body()
        seen = stand_in.note(self.command, self.path)
        try:
            reply = stand_in.strike(seen, Moment.BEFORE)
            if reply is None:
                status, headers, content = self._done(body)
                reply = stand_in.strike(seen, Moment.AFTER)
            if reply is not None:
                status, headers, content = _encoded(reply)
        except Cut:
            self.close_connection = True
            return
        self._send(status, headers, content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _done(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        stand_in = self.server.stand_in
        user = stand_in.user_of(self.headers.get("authorization", ""))
        if self.path.startswith(f"{API}/"):
            return _encoded(stand_in.api(user, self.command, self.path.removeprefix(API), body))
        path, _, query = self.path.partition("?")
        found = re.fullmatch(GIT_PATH, path)
        hosted = stand_in.repositories.get(found["name"].lower()) if found else None
        if user is None:
            return 401, [("www-authenticate", 'Basic realm="GitHub"')], b""
        if found is None or hosted is None:
            return 404, [], b""
        headers = {name.lower(): value for name, value in self.headers.items()}
        return backend(
            stand_in.folder, hosted.full_name, found["what"], self.command, query, headers, body, user.login
        )

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _encoded(reply: Reply) -> tuple[int, list[tuple[str, str]], bytes]:
    headers = {"content-type": "application/json; charset=utf-8", **_LIMITS, **reply.headers}
    content = b"" if reply.body is None else json.dumps(reply.body).encode()
    return reply.status, list(headers.items()), content
