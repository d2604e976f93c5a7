"""The image's health check, as Docker runs it: against a real server, with TLS and without."""

import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.security.pairs import Authority


class _Endpoint(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def _serving(status: int, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Its port."""
    server = HTTPServer(("127.0.0.1", 0), type("Answers", (_Endpoint,), {"status": status}))
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _status(root: Path, port: int) -> int:
    environment = {"ZORAN_SERVER__PORT": str(port), "HTTPS_PROXY": "http://127.0.0.1:1"}
    script = root / "cluster/docker/health.py"
    return subprocess.run(
        [sys.executable, "-IS", script], env=environment, capture_output=True, timeout=30, check=False
    ).returncode


@pytest.mark.parametrize(("answer", "expected"), [(200, 0), (503, 1), (404, 1)])
def test_it_says_what_the_endpoint_says(root: Path, answer: int, expected: int) -> None:
    with _serving(answer) as port:
        assert _status(root, port) == expected


def test_a_certificate_that_nobody_vouches_for_is_well(root: Path, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = Authority(tmp_path).pair("server")
    context.load_cert_chain(pair.certificate, pair.key)
    with _serving(200, context) as port:
        assert _status(root, port) == 0


def test_nobody_there(root: Path) -> None:
    with _serving(200) as port:
        pass
    assert _status(root, port) == 1
